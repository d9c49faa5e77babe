/** Rules for a whole application: which keys of a cache hold what the topics of a type speak of. */

import { escapeIdentifier } from "../core/topics.js";
import { type AnyRules, rulesOf, type Sync } from "./rules.js";

/** Stands in a key for the topic's identifier. */
export const ID: unique symbol = Symbol.for("tidings.id");

/**
 * The beginning of a key. With ID in it, what stands there names the topic: `["gifts", ID]` follows `gift-list:7`
 * for `["gifts", "7"]`. Without, it follows all topics of the type (`gift-list:*`), where the server allows that.
 */
export type KeyPattern = readonly unknown[];

export interface KeyRule {
  /** One pattern, or several in a list of lists. */
  readonly key: KeyPattern | readonly KeyPattern[];
  /** What the events do to the data; each refetches where absent. */
  // biome-ignore lint/suspicious/noExplicitAny: the data of keys has many types.
  readonly sync?: Sync<any>;
}

/** By topic type: a pattern, or a rule. */
export type KeyRules = Readonly<Record<string, KeyPattern | KeyRule>>;

export interface Followed {
  readonly topics: readonly string[];
  readonly rules: AnyRules;
}

/** What the data of a key follows by the rules; null: nothing. */
export function followedBy(rules: KeyRules, key: readonly unknown[]): Followed | null {
  const topics: string[] = [];
  const found: [type: string, rules: AnyRules][] = [];
  for (const [type, given] of Object.entries(rules)) {
    const rule = ruleOf(given);
    const matching = patternsOf(rule).flatMap((pattern) => topicOf(type, pattern, key) ?? []);
    if (matching.length === 0) continue;
    topics.push(...matching);
    found.push([type, rulesOf(rule.sync)]);
  }
  const [first] = found;
  if (first === undefined) return null;
  const byType = found.map(([type, { events = "hybrid" }]) => [type, events] as const);
  return {
    topics: [...new Set(topics)].sort(),
    rules: found.length === 1 ? first[1] : { ...first[1], topics: Object.fromEntries(byType) },
  };
}

/** What the keys of a rule begin with that stands before the identifier. */
export function prefixesOf(rules: KeyRules): readonly KeyPattern[] {
  return Object.values(rules)
    .flatMap((given) => patternsOf(ruleOf(given)))
    .map((pattern) => (pattern.includes(ID) ? pattern.slice(0, pattern.indexOf(ID)) : pattern));
}

function ruleOf(given: KeyPattern | KeyRule): KeyRule {
  return Array.isArray(given) ? { key: given } : (given as KeyRule);
}

function patternsOf({ key }: KeyRule): readonly KeyPattern[] {
  const isSeveral = key.length > 0 && key.every((part) => Array.isArray(part));
  return isSeveral ? (key as readonly KeyPattern[]) : [key];
}

function topicOf(type: string, pattern: KeyPattern, key: readonly unknown[]): string | null {
  if (key.length < pattern.length) return null;
  let topic = `${type}:*`;
  for (const [n, part] of pattern.entries()) {
    const given = key[n];
    if (part === ID) {
      if (typeof given !== "string" && typeof given !== "number") return null;
      topic = `${type}:${escapeIdentifier(String(given))}`;
    } else if (JSON.stringify(part) !== JSON.stringify(given)) return null;
  }
  return topic;
}
