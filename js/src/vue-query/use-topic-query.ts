/** `useQuery` whose data follows topics. */

import {
  hashKey,
  type QueryFunction,
  type QueryFunctionContext,
  type QueryKey,
  type QueryObserverOptions,
  type UseQueryReturnType,
  useQuery,
  useQueryClient,
} from "@tanstack/vue-query";
import { computed, type MaybeRefOrGetter, shallowRef, toValue, watch } from "vue";
import type { FollowOptions } from "../sync/follow-options.js";
import { withLayers } from "../sync/layers.js";
import { fetchFollowed } from "../tanstack/fetching.js";
import { positionsIn } from "../tanstack/host.js";
import { useTidings } from "../vue/provide.js";
import { clientLike, registryFor } from "./library.js";
import { useFollowing, useLayers } from "./use-following.js";

export interface TopicQueryOptions<TQueryFnData, TError, TData>
  extends Omit<
      QueryObserverOptions<TQueryFnData, TError, TData, TQueryFnData, QueryKey>,
      "queryKey" | "queryFn" | "enabled" | "suspense"
    >,
    FollowOptions<TQueryFnData> {
  queryKey: QueryKey;
  queryFn: QueryFunction<TQueryFnData, QueryKey>;
  enabled?: boolean;
}

/**
 * A query that is kept in step with its topics: no event is lost, none is applied twice, an older response does
 * not undo a newer event, and after a gap it is fetched anew, once. Options that change are given as a getter:
 * `useTopicQuery(() => ({ queryKey: ["gifts", props.list], … }))`.
 */
export function useTopicQuery<TQueryFnData = unknown, TError = Error, TData = TQueryFnData>(
  options: MaybeRefOrGetter<TopicQueryOptions<TQueryFnData, TError, TData>>,
): UseQueryReturnType<TData, TError> {
  const client = useQueryClient();
  const live = useTidings();
  const registry = registryFor(client);
  const given = computed(() => toValue(options));
  const hash = computed(() => (given.value.queryKeyHashFn ?? hashKey)(given.value.queryKey));
  const read = (): TQueryFnData | undefined =>
    client.getQueryData<TQueryFnData>(given.value.queryKey);
  const cached = shallowRef(read());
  const { isOn, state } = useFollowing<TQueryFnData>(
    client,
    () => hash.value,
    () => given.value,
    () => cached.value,
  );

  const query = useQuery<TQueryFnData, TError>(() => {
    const { topics, sync, apply, spreadMs, live: wanted, select, queryFn, ...rest } = given.value;
    const parts = { live, client: clientLike(client), registry, hash: hash.value };
    const isKnown =
      isOn() && (state.value.live || positionsIn(parts.client, hash.value) !== undefined);
    const polls = isOn() && state.value.fallback && read() !== undefined;
    return {
      ...rest,
      shallow: true,
      queryFn: (context: QueryFunctionContext) => fetchFollowed(parts, queryFn, context),
      ...(isKnown ? { staleTime: Number.POSITIVE_INFINITY } : {}),
      // The next poll is the next try: a server that is away gets no four requests for each.
      ...(polls ? { retry: false } : {}),
    } as never;
  });
  watch([hash, query.data], () => {
    cached.value = read();
  });
  const over = useLayers(() => registry.layers(hash.value));
  const data = computed(() => {
    const base = query.data.value as TQueryFnData | undefined;
    if (base === undefined) return undefined;
    const whole = withLayers(base, over.value);
    const { select } = given.value;
    return select === undefined ? whole : select(whole);
  });
  return { ...query, data } as unknown as UseQueryReturnType<TData, TError>;
}
