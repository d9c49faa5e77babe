/** Rules for a whole application: its queries follow topics, and its components stay as they are. */

import type { Query, QueryClient, QueryFunctionContext, QueryKey } from "@tanstack/react-query";
import type { Live } from "../core/types.js";
import { SPREAD_MS } from "../sync/coalesce.js";
import { Follower } from "../sync/follower.js";
import { followedBy, type KeyRules, prefixesOf } from "../sync/patterns.js";
import { fetchFollowed } from "../tanstack/fetching.js";
import { positionsIn, queryHost } from "../tanstack/host.js";
import { LIBRARY, registryFor } from "./library.js";

/**
 * From now on, every query in use whose key matches follows its topics; call it where the client is made, before
 * anything is fetched. What this page's own changes lay over the data (`useTopicMutation`) is seen by
 * `useTopicQuery` only. Returns the function that ends it.
 */
export function bindQueryClient(live: Live, client: QueryClient, rules: KeyRules): () => void {
  const registry = registryFor(client);
  const held = new Map<string, () => void>();
  const release = (hash: string): void => {
    held.get(hash)?.();
    held.delete(hash);
  };
  const look = (query: Query): void => {
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
          host: queryHost(client, LIBRARY, queryKey, hash),
          layers: registry.layers(hash),
          rules: () => followed.rules,
          spreadMs: SPREAD_MS,
        }),
    );
    held.set(hash, hold.release);
    hold.follower.follow(followed.topics);
  };
  const restore = wrapFetches(live, client, rules);
  const cache = client.getQueryCache();
  for (const query of cache.getAll()) look(query);
  const off = cache.subscribe(({ type, query }) => {
    if (type.startsWith("observer") || type === "removed") look(query);
  });
  return () => {
    off();
    restore();
    for (const hash of [...held.keys()]) release(hash);
  };
}

/** By defaults for the keys of the rules, so that each response is brought in line with the stream. */
function wrapFetches(live: Live, client: QueryClient, rules: KeyRules): () => void {
  const registry = registryFor(client);
  const undo: (() => void)[] = [];
  for (const key of prefixesOf(rules)) {
    const before = client.getQueryDefaults(key);
    const staleTime = before.staleTime ?? client.getDefaultOptions().queries?.staleTime ?? 0;
    client.setQueryDefaults(key, {
      ...before,
      persister: (
        queryFn: (context: QueryFunctionContext<QueryKey>) => unknown,
        context: QueryFunctionContext<QueryKey>,
        { queryHash: hash }: Query,
      ) => fetchFollowed({ live, client, registry, hash }, queryFn, context),
      staleTime: (query: Query) => {
        const { queryHash: hash } = query;
        const isLive = registry.follower(hash)?.liveness.state.live === true;
        if (isLive || positionsIn(client, hash) !== undefined) return Number.POSITIVE_INFINITY;
        return typeof staleTime === "function" ? staleTime(query) : staleTime;
      },
    });
    undo.push(() => client.setQueryDefaults(key, before));
  }
  return () => {
    for (const one of undo) one();
  };
}
