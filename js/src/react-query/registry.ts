/** One follower per query, however many components use it: an event must be applied once. */

import type { QueryClient } from "@tanstack/react-query";
import { Follower, type FollowerOptions } from "./follower.js";

interface Entry {
  readonly follower: Follower;
  uses: number;
}

const ALL = new WeakMap<QueryClient, Map<string, Entry>>();

/** The follower of a query that is followed now. */
export function followerOf(client: QueryClient, hash: string): Follower | undefined {
  return ALL.get(client)?.get(hash)?.follower;
}

/** Use a query's follower until the returned function is called; the last use ends it. */
export function holdFollower(options: FollowerOptions): {
  follower: Follower;
  release: () => void;
} {
  const { client, hash } = options;
  const entries = ALL.get(client) ?? new Map<string, Entry>();
  ALL.set(client, entries);
  const entry = entries.get(hash) ?? { follower: new Follower(options), uses: 0 };
  entries.set(hash, entry);
  entry.uses += 1;
  let released = false;
  const release = (): void => {
    if (released) return;
    released = true;
    entry.uses -= 1;
    if (entry.uses > 0) return;
    entries.delete(hash);
    entry.follower.stop();
  };
  return { follower: entry.follower, release };
}
