/** Rules for a whole application: its queries follow topics, and its components stay as they are. */

import type { Live } from "../core/types.js";
import { SPREAD_MS } from "../sync/coalesce.js";
import { Follower } from "../sync/follower.js";
import { followedBy, type KeyRules, prefixesOf } from "../sync/patterns.js";
import { fetchFollowed } from "./fetching.js";
import {
  type CacheEvent,
  type ClientLike,
  type Library,
  positionsIn,
  type QueryLike,
  queryHost,
  registryOfClient,
} from "./host.js";

type Defaults = { readonly staleTime?: unknown };

/** What is used of a `QueryClient` beside the rest. */
export interface BindableClient extends ClientLike {
  getQueryDefaults(key: readonly unknown[]): object;
  setQueryDefaults(key: readonly unknown[], options: never): void;
  getDefaultOptions(): { readonly queries?: object | undefined };
}

export function bindRules(
  live: Live,
  client: BindableClient,
  library: Library,
  rules: KeyRules,
): () => void {
  const registry = registryOfClient(client, library);
  const held = new Map<string, () => void>();
  const release = (hash: string): void => {
    held.get(hash)?.();
    held.delete(hash);
  };
  const look = (query: QueryLike): void => {
    const { queryHash: hash, queryKey } = query;
    if (!query.isActive()) {
      release(hash);
      return;
    }
    // A query that a component follows by itself has rules of its own.
    if (held.has(hash) || registry.follower(hash) !== undefined) return;
    const followed = followedBy(rules, queryKey);
    if (followed === null) return;
    const hold = registry.hold(
      hash,
      () =>
        new Follower({
          live,
          host: queryHost(client, library, queryKey, hash),
          layers: registry.layers(hash),
          rules: () => followed.rules,
          spreadMs: SPREAD_MS,
        }),
    );
    held.set(hash, hold.release);
    hold.follower.follow(followed.topics);
  };
  const restore = wrapFetches(live, client, library, rules);
  const cache = client.getQueryCache();
  for (const query of cache.getAll()) look(query as QueryLike);
  const off = cache.subscribe(({ type, query }: CacheEvent) => {
    if (type.startsWith("observer") || type === "removed") look(query);
  });
  return () => {
    off();
    restore();
    for (const hash of [...held.keys()]) release(hash);
  };
}

/** By defaults for the keys of the rules, so that each response is brought in line with the stream. */
function wrapFetches(
  live: Live,
  client: BindableClient,
  library: Library,
  rules: KeyRules,
): () => void {
  const registry = registryOfClient(client, library);
  const undo: (() => void)[] = [];
  for (const key of prefixesOf(rules)) {
    const before: Defaults = client.getQueryDefaults(key);
    const standard = client.getDefaultOptions().queries as Defaults | undefined;
    const staleTime = before.staleTime ?? standard?.staleTime ?? 0;
    const defaults = {
      ...before,
      persister: (
        queryFn: (context: object) => unknown,
        context: object,
        { queryHash: hash }: QueryLike,
      ) => fetchFollowed({ live, client, registry, hash }, queryFn, context),
      staleTime: (query: QueryLike) => {
        const { queryHash: hash } = query;
        const isLive = registry.follower(hash)?.liveness.state.live === true;
        if (isLive || positionsIn(client, hash) !== undefined) return Number.POSITIVE_INFINITY;
        return typeof staleTime === "function" ? (staleTime(query) as unknown) : staleTime;
      },
    };
    client.setQueryDefaults(key, defaults as never);
    undo.push(() => client.setQueryDefaults(key, before as never));
  }
  return () => {
    for (const one of undo) one();
  };
}
