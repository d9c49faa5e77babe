/** How data follows topics, as every binding takes it. */

import type { Apply, Sync } from "./rules.js";
import type { Topics } from "./topics.js";

export interface FollowOptions<T> {
  /** What the data follows; a function of the data where only that knows; null: nothing. */
  topics: Topics<T>;
  /** What events do to the data; without it, and without `apply`, each refetches. */
  sync?: Sync<T> | undefined;
  /** The short form: the data after an event; REFETCH where the event does not say enough. */
  apply?: Apply<T> | undefined;
  /** A refetch for an event waits a random part of this (400), so that all screens do not ask at once. */
  spreadMs?: number | undefined;
  /** False: ordinary data, which costs no subscription. */
  live?: boolean | undefined;
}
