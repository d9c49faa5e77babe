"use client";
/** Rules for a whole application: what its `useSWR` reads follows topics, and its components stay as they are. */

import { type Key, type Middleware, type SWRHook, unstable_serialize } from "swr";
import { SPREAD_MS } from "../sync/coalesce.js";
import { followedBy, ID, type KeyPattern, type KeyRules } from "../sync/patterns.js";
import { rulesOf, type Sync } from "../sync/rules.js";
import { type Follows, useFollowedSWR } from "./use-topic-swr.js";

/** By topic type: a pattern of keys, or paths with `:id` such as `/api/lists/:id`, with what events do. */
export type SWRRules = Readonly<Record<string, string | KeyPattern | SWRRule>>;

export interface SWRRule {
  readonly key: string | KeyPattern;
  /** What the events do to the data; each refetches where absent. */
  // biome-ignore lint/suspicious/noExplicitAny: the data of keys has many types.
  readonly sync?: Sync<any>;
}

const NOTHING: Follows = Object.freeze({
  topics: [],
  rules: () => rulesOf(undefined),
  spreadMs: SPREAD_MS,
});

/** Give it to `<SWRConfig value={{ use: [tidingsMiddleware(rules)] }}>`. */
export function tidingsMiddleware(rules: SWRRules): Middleware {
  const patterns: KeyRules = Object.fromEntries(
    Object.entries(rules).map(([type, given]) => {
      const rule = typeof given === "string" || Array.isArray(given) ? { key: given } : given;
      const { key, sync } = rule as SWRRule;
      return [type, { key: partsOf(key), sync: sync ?? "refetch" }];
    }),
  );
  return ((next: SWRHook) => (key: Key, fetcher: unknown, config: object) => {
    const parts = isPlain(key) ? partsOf(typeof key === "function" ? key() : key) : [];
    const followed = parts.length === 0 ? null : followedBy(patterns, parts);
    return useFollowedSWR(next, key, fetcher as never, config, () =>
      followed === null
        ? NOTHING
        : { topics: followed.topics, rules: () => followed.rules, spreadMs: SPREAD_MS },
    );
  }) as unknown as Middleware;
}

/** A path by its parts, so that one of them can be the identifier. */
function partsOf(key: unknown): KeyPattern {
  if (Array.isArray(key)) return key as KeyPattern;
  if (typeof key !== "string") return [];
  const path = key.split(/[?#]/)[0] ?? "";
  return path.split("/").map((part) => (part === ":id" ? ID : part));
}

/** SWR's own keys for pages and subscriptions are not those of the application. */
function isPlain(key: Key): boolean {
  const name = unstable_serialize(key);
  return name !== "" && !name.startsWith("$");
}
