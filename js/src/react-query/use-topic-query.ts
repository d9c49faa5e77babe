"use client";
/** `useQuery` whose data follows topics. */

import {
  hashKey,
  type QueryFunction,
  type QueryFunctionContext,
  type QueryKey,
  skipToken,
  type UseQueryOptions,
  type UseQueryResult,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { isSlowNetwork } from "../core/environment.js";
import type { TidingsEvent } from "../core/event.js";
import type { Live } from "../core/types.js";
import { useLatest } from "../react/latest.js";
import { useTidings } from "../react/provider.js";
import { SPREAD_MS } from "./coalesce.js";
import type { Apply, REFETCH } from "./follower.js";
import { layersOf, withLayers } from "./layers.js";
import { type FollowState, WAITING } from "./liveness.js";
import { positionsIn } from "./positions.js";
import { followerOf, holdFollower } from "./registry.js";

const POLL_MS = 10_000;
const POLL_SLOW_MS = 30_000;
const pollMs = (): number => (isSlowNetwork() ? POLL_SLOW_MS : POLL_MS);

export interface TopicQueryOptions<TQueryFnData, TError, TData, TQueryKey extends QueryKey>
  extends UseQueryOptions<TQueryFnData, TError, TData, TQueryKey> {
  /** What the data follows; a function of the data where only that knows; null: nothing. */
  topics:
    | string
    | readonly string[]
    | null
    | ((data: TQueryFnData | undefined) => string | readonly string[] | null);
  /** The data after an event; REFETCH where the event does not say enough. Without it each event refetches. */
  apply?: (data: TQueryFnData, event: TidingsEvent) => TQueryFnData | typeof REFETCH;
  /** A refetch for an event waits a random part of this (400), so that all screens do not ask at once. */
  spreadMs?: number;
  /** False: an ordinary query, which costs no subscription. */
  live?: boolean;
}

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
  const { topics, apply, spreadMs = SPREAD_MS, live: wanted = true, ...query } = options;
  const client = useQueryClient();
  const live = useTidings();
  const hash = (query.queryKeyHashFn ?? hashKey)(query.queryKey);
  const names = namesOf(topics, client.getQueryData<TQueryFnData>(query.queryKey));
  const isOn = wanted && names.length > 0 && isEnabled(query, client.getQueryCache().get(hash));
  const followed = useFollowing({
    hash,
    queryKey: query.queryKey,
    topics: isOn ? names : [],
    apply: apply as Apply | undefined,
    spreadMs,
  });
  const layers = layersOf(client, hash);
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
  const { queryFn } = query;
  return useQuery<TQueryFnData, TError, TData, TQueryKey>({
    ...query,
    ...(over.length > 0 ? { select: layered } : {}),
    ...(typeof queryFn === "function"
      ? { queryFn: (context) => runWith(live, hash, queryFn, context) }
      : {}),
    ...(known ? { staleTime: Number.POSITIVE_INFINITY } : {}),
    ...(polls ? { refetchInterval: pollMs } : {}),
    // The next poll is the next try: a server that is away gets no four requests for each.
    ...(polls && hasData ? { retry: false } : {}),
  });
}

interface Following {
  hash: string;
  queryKey: QueryKey;
  topics: readonly string[];
  apply: Apply | undefined;
  spreadMs: number;
}

/** Hold the query's follower while there are topics. Its effect stands before that of `useQuery`, which fetches. */
function useFollowing({ hash, queryKey, topics, apply, spreadMs }: Following): FollowState {
  const client = useQueryClient();
  const live = useTidings();
  const latest = useLatest({ apply, queryKey, spreadMs });
  const [state, setState] = useState<FollowState>(WAITING);
  const key = JSON.stringify([...new Set(topics)].sort());
  const isOn = topics.length > 0;
  useEffect(() => {
    if (!isOn) return;
    const { follower, release } = holdFollower({
      client,
      live,
      hash,
      queryKey: latest.current.queryKey,
      spreadMs: latest.current.spreadMs,
      apply: () => latest.current.apply,
    });
    const unlisten = follower.liveness.listen(setState);
    return () => {
      unlisten();
      release();
    };
  }, [client, live, hash, isOn, latest]);
  useEffect(() => {
    const follower = isOn ? followerOf(client, hash) : undefined;
    follower?.follow(JSON.parse(key) as string[]);
    setState(follower?.liveness.state ?? WAITING);
  }, [client, hash, isOn, key]);
  return state;
}

/** Run the application's function, and lay over its response what it does not hold yet. */
async function runWith<TQueryFnData, TQueryKey extends QueryKey>(
  live: Live,
  hash: string,
  queryFn: QueryFunction<TQueryFnData, TQueryKey>,
  context: QueryFunctionContext<TQueryKey>,
): Promise<TQueryFnData> {
  const { client } = context;
  const before = followerOf(client, hash);
  const run = before?.begin() ?? null;
  // Reading `signal` makes a query abort when it is left; so it is read only if the application reads it.
  let signal: AbortSignal | null = null;
  const watched = Object.defineProperty({ ...withoutSignal(context) }, "signal", {
    enumerable: true,
    get: () => (signal ??= context.signal),
  }) as QueryFunctionContext<TQueryKey>;
  const data = await queryFn(watched);
  const after = followerOf(client, hash);
  const cursors = signal === null ? null : live.cursorsOf(signal);
  if (after === undefined) return data;
  return after.respond(after === before ? run : null, data, cursors) as TQueryFnData;
}

function withoutSignal<C extends object>(context: C): Partial<C> {
  const names = Object.keys(context).filter((name) => name !== "signal") as (keyof C)[];
  return Object.fromEntries(names.map((name) => [name, context[name]])) as Partial<C>;
}

function namesOf<T>(
  topics: TopicQueryOptions<T, unknown, unknown, QueryKey>["topics"],
  data: T | undefined,
): readonly string[] {
  const given = typeof topics === "function" ? topics(data) : topics;
  return typeof given === "string" ? [given] : (given ?? []);
}

function isEnabled(query: { enabled?: unknown; queryFn?: unknown }, known: unknown): boolean {
  if (query.queryFn === skipToken) return false;
  if (typeof query.enabled === "function")
    return known !== undefined && query.enabled(known) === true;
  return query.enabled !== false;
}
