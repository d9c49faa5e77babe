/** The options of a followed query, for where there is no component: prefetching, loaders, rendering servers. */

import { hashKey, type QueryFunction, type QueryKey } from "@tanstack/react-query";
import type { Live } from "../core/types.js";
import { fetchFollowed } from "../tanstack/fetching.js";
import { registryFor } from "./library.js";
import type { TopicQueryOptions } from "./use-topic-query.js";

/**
 * The same options, whose function also notes where the response stands: `prefetchQuery` with them and then
 * `useTopicQuery` with them follows from there, over a dehydration too.
 */
export function topicQueryOptions<
  TQueryFnData = unknown,
  TError = Error,
  TData = TQueryFnData,
  TQueryKey extends QueryKey = QueryKey,
>(
  live: Live,
  options: Omit<TopicQueryOptions<TQueryFnData, TError, TData, TQueryKey>, "queryFn"> & {
    queryFn: QueryFunction<TQueryFnData, TQueryKey>;
  },
): typeof options {
  const { queryFn, queryKeyHashFn = hashKey } = options;
  return {
    ...options,
    queryFn: (context) => {
      const { client } = context;
      const hash = queryKeyHashFn(context.queryKey);
      const registry = registryFor(client);
      return fetchFollowed({ live, client, registry, hash }, queryFn, context);
    },
  };
}
