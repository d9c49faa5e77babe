/** What an event does to the data, as values that the application writes down (rule R12). */

import type { TidingsEvent } from "../core/event.js";
import { topicType } from "../core/topics.js";

/** The answer to an event that cannot be applied: the data is fetched anew. */
export const REFETCH: unique symbol = Symbol.for("tidings.refetch");

/** The data after the event; REFETCH where the event does not say enough. */
export type Apply<T = unknown> = (data: T, event: TidingsEvent) => T | typeof REFETCH;

/**
 * `patch`: ADDED, UPDATED, DELETED, STATUS_CHANGED and other changes are applied to the list or the object.
 * `refetch`: fetched anew, a few times for a burst. `invalidate`: fetched when it is next looked at.
 * `ignore`: nothing.
 */
export type Reaction = "patch" | "refetch" | "invalidate" | "ignore";

/** `hybrid`: patch the usual events, refetch for any other. */
export type Strategy = Reaction | "hybrid";

/** By the event's name; `*` for the rest, which without it are fetched for. */
export type EventRules<T = unknown> = Readonly<Record<string, Reaction | Apply<T>>>;

/** Grows with each change of the entity: a number, or a text that sorts as time does (ISO 8601 in UTC). */
export type Revision = number | bigint | string;

interface Rules<T, E> {
  /** One strategy, or one for each event; `hybrid` where absent. */
  readonly events?: Strategy | EventRules<T>;
  /** The same for the topics of a type that need another. */
  readonly topics?: Readonly<Record<string, Strategy | EventRules<T>>>;
  /** What the events name as `entity_id`; the entity's `id` where absent. */
  readonly idOf?: (entity: E) => string | number;
  /** A number that grows with each change, or a time of ISO 8601 in UTC: what is not newer changes nothing (R13). */
  readonly revisionOf?: (entity: E) => Revision | null | undefined;
  /** An event without a payload: this one entity is fetched, not everything (R3). Null: it is gone. */
  readonly fetchEntity?: (id: string, event: TidingsEvent) => Promise<E | null>;
  /** The versions of payloads that this page can read; any other is told and refetched for (R1). */
  readonly versions?: readonly number[];
  readonly onUnknownVersion?: (event: TidingsEvent) => void;
  /** Fetch everything anew so often, in milliseconds, whatever the events say (the strategy *resync*). */
  readonly resyncMs?: number;
}

type ListNames<T> = {
  [K in keyof T & string]: T[K] extends readonly unknown[] ? K : never;
}[keyof T & string];

type InWhole<T> = Rules<T, T extends readonly (infer E)[] ? E : T> & {
  /** The field that holds the list, where the data is an object around it. */
  readonly in?: undefined;
};
type InField<T> = {
  [K in ListNames<T>]: Rules<T, T[K] extends readonly (infer E)[] ? E : never> & {
    readonly in: K;
  };
}[ListNames<T>];

/** How data is kept in step with its topics: the name of a strategy, or what makes one. */
export type Sync<T = unknown> = Strategy | InWhole<T> | InField<T>;

/** The same where the data's type is not known any more. */
export type AnyRules = Rules<unknown, unknown> & { readonly in?: string | undefined };

const USUAL: EventRules = {
  ADDED: "patch",
  UPDATED: "patch",
  DELETED: "patch",
  STATUS_CHANGED: "patch",
};
const EVERYTHING_REFETCHES: AnyRules = { events: "refetch" };

/** The rules of `sync`, or of the short form `apply`; without either each event refetches. */
export function rulesOf(sync: unknown, apply?: unknown): AnyRules {
  if (typeof apply === "function") {
    const more = typeof sync === "object" ? (sync as AnyRules) : {};
    return { ...more, events: { "*": apply as Apply } };
  }
  if (sync === undefined || sync === null) return EVERYTHING_REFETCHES;
  return typeof sync === "string" ? { events: sync as Strategy } : (sync as AnyRules);
}

/** What the rules say about an event. */
export function reactionTo(rules: AnyRules, { topic, event }: TidingsEvent): Reaction | Apply {
  const chosen = rules.topics?.[topicType(topic)] ?? rules.events ?? "hybrid";
  if (typeof chosen === "string" && chosen !== "hybrid") return chosen;
  const byName: EventRules = chosen === "hybrid" ? USUAL : chosen;
  if (Object.hasOwn(byName, event)) return byName[event] ?? "refetch";
  return byName["*"] ?? "refetch";
}

/** Whether the application says that it cannot read the payload; it is told. */
export function isUnknownVersion(rules: AnyRules, event: TidingsEvent): boolean {
  const { version } = event;
  if (version === undefined || rules.versions === undefined) return false;
  if (rules.versions.includes(version)) return false;
  rules.onUnknownVersion?.(event);
  return true;
}
