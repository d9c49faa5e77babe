"use client";
/** `useQuery` whose data follows topics. */

import {
  hashKey,
  type QueryFunctionContext,
  type QueryKey,
  skipToken,
  type UseQueryOptions,
  type UseQueryResult,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { useLatest } from "../react/latest.js";
import { useTidings } from "../react/provider.js";
import { SPREAD_MS } from "../sync/coalesce.js";
import { Follower } from "../sync/follower.js";
import { withLayers } from "../sync/layers.js";
import { type FollowState, WAITING } from "../sync/liveness.js";
import { type Apply, rulesOf, type Sync } from "../sync/rules.js";
import { type Topics, topicsOf } from "../sync/topics.js";
import { fetchFollowed } from "../tanstack/fetching.js";
import { positionsIn, queryHost } from "../tanstack/host.js";
import { LIBRARY, registryFor } from "./library.js";

/** How a query's data follows topics. */
export interface FollowOptions<TQueryFnData> {
  /** What the data follows; a function of the data where only that knows; null: nothing. */
  topics: Topics<TQueryFnData>;
  /** What events do to the data; without it, and without `apply`, each refetches. */
  sync?: Sync<TQueryFnData>;
  /** The short form: the data after an event; REFETCH where the event does not say enough. */
  apply?: Apply<TQueryFnData>;
  /** A refetch for an event waits a random part of this (400), so that all screens do not ask at once. */
  spreadMs?: number;
  /** False: an ordinary query, which costs no subscription. */
  live?: boolean;
}

export interface TopicQueryOptions<TQueryFnData, TError, TData, TQueryKey extends QueryKey>
  extends UseQueryOptions<TQueryFnData, TError, TData, TQueryKey>,
    FollowOptions<TQueryFnData> {}

/**
 * A query that is kept in step with its topics: no event is lost, none is applied twice, an older response does
 * not undo a newer event, and after a gap it is fetched anew, once. While it is followed its data does not grow
 * stale; where it cannot be followed for half a minute it is polled.
 */
export function useTopicQuery<
  TQueryFnData = unknown,
  TError = Error,
  TData = TQueryFnData,
  TQueryKey extends QueryKey = QueryKey,
>(
  options: TopicQueryOptions<TQueryFnData, TError, TData, TQueryKey>,
): UseQueryResult<TData, TError> {
  const {
    topics,
    sync,
    apply,
    spreadMs = SPREAD_MS,
    live: wanted = true,
    queryFn,
    ...query
  } = options;
  const client = useQueryClient();
  const live = useTidings();
  const registry = registryFor(client);
  const hash = (query.queryKeyHashFn ?? hashKey)(query.queryKey);
  const names = topicsOf(topics, client.getQueryData<TQueryFnData>(query.queryKey));
  const isOn = wanted && names.length > 0 && isEnabled(options, client.getQueryCache().get(hash));
  const followed = useFollowing({
    hash,
    queryKey: query.queryKey,
    topics: isOn ? names : [],
    rules: { sync, apply },
    spreadMs,
  });
  const layers = registry.layers(hash);
  const over = useSyncExternalStore(layers.subscribe, layers.get, layers.get);
  const { select } = query;
  const layered = useCallback(
    (data: TQueryFnData): TData => {
      const whole = withLayers(data, over);
      return select === undefined ? (whole as unknown as TData) : select(whole);
    },
    [over, select],
  );
  const polls = isOn && followed.fallback;
  const hasData = client.getQueryData(query.queryKey) !== undefined;
  const known = isOn && (followed.live || positionsIn(client, hash) !== undefined);
  return useQuery<TQueryFnData, TError, TData, TQueryKey>({
    ...query,
    ...(over.length > 0 ? { select: layered } : {}),
    ...(queryFn === undefined ? {} : { queryFn }),
    ...(typeof queryFn === "function"
      ? {
          queryFn: (context: QueryFunctionContext<TQueryKey>) =>
            fetchFollowed({ live, client, registry, hash }, queryFn, context),
        }
      : {}),
    ...(known ? { staleTime: Number.POSITIVE_INFINITY } : {}),
    // The next poll is the next try: a server that is away gets no four requests for each.
    ...(polls && hasData ? { retry: false } : {}),
  });
}

interface Following {
  hash: string;
  queryKey: QueryKey;
  topics: readonly string[];
  rules: { sync: unknown; apply: unknown };
  spreadMs: number;
}

/** Hold the query's follower while there are topics. Its effect stands before that of `useQuery`, which fetches. */
function useFollowing({ hash, queryKey, topics, rules, spreadMs }: Following): FollowState {
  const client = useQueryClient();
  const live = useTidings();
  const registry = registryFor(client);
  const latest = useLatest({ rules, queryKey, spreadMs });
  const [state, setState] = useState<FollowState>(WAITING);
  const key = JSON.stringify(topics);
  const isOn = topics.length > 0;
  useEffect(() => {
    if (!isOn) return;
    const { follower, release } = registry.hold(hash, () => {
      const { queryKey: of, spreadMs: spread } = latest.current;
      return new Follower({
        live,
        host: queryHost(client, LIBRARY, of, hash),
        layers: registry.layers(hash),
        rules: () => rulesOf(latest.current.rules.sync, latest.current.rules.apply),
        spreadMs: spread,
      });
    });
    const unlisten = follower.liveness.listen(setState);
    return () => {
      unlisten();
      release();
    };
  }, [client, live, registry, hash, isOn, latest]);
  useEffect(() => {
    const follower = isOn ? registry.follower(hash) : undefined;
    follower?.follow(JSON.parse(key) as string[]);
    setState(follower?.liveness.state ?? WAITING);
  }, [registry, hash, isOn, key]);
  return state;
}

function isEnabled(query: { enabled?: unknown; queryFn?: unknown }, known: unknown): boolean {
  if (query.queryFn === skipToken) return false;
  if (typeof query.enabled === "function")
    return known !== undefined && query.enabled(known) === true;
  return query.enabled !== false;
}
