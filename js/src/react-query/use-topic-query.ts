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
import { useCallback } from "react";
import { useTidings } from "../react/provider.js";
import { SPREAD_MS } from "../sync/coalesce.js";
import type { FollowOptions } from "../sync/follow-options.js";
import { withLayers } from "../sync/layers.js";
import { rulesOf } from "../sync/rules.js";
import { topicsOf } from "../sync/topics.js";
import { useFollowing, useLayers } from "../sync-react/use-following.js";
import { fetchFollowed } from "../tanstack/fetching.js";
import { positionsIn, queryHost } from "../tanstack/host.js";
import { LIBRARY, registryFor } from "./library.js";

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
    live,
    registry,
    name: hash,
    host: () => queryHost(client, LIBRARY, query.queryKey, hash),
    topics: isOn ? names : [],
    rules: () => rulesOf(sync, apply),
    spreadMs,
  });
  const over = useLayers(registry, hash);
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

function isEnabled(query: { enabled?: unknown; queryFn?: unknown }, known: unknown): boolean {
  if (query.queryFn === skipToken) return false;
  if (typeof query.enabled === "function")
    return known !== undefined && query.enabled(known) === true;
  return query.enabled !== false;
}
