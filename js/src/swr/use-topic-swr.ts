"use client";
/** `useSWR` whose data follows topics. */

import { useMemo, useRef } from "react";
import useSWR, {
  type Fetcher,
  type Key,
  type SWRConfiguration,
  type SWRHook,
  type SWRResponse,
  unstable_serialize,
  useSWRConfig,
} from "swr";
import { useTidings } from "../react/provider.js";
import { SPREAD_MS } from "../sync/coalesce.js";
import type { FollowOptions } from "../sync/follow-options.js";
import { type Layer, withLayers } from "../sync/layers.js";
import { type AnyRules, rulesOf } from "../sync/rules.js";
import { topicsOf } from "../sync/topics.js";
import { useFollowing, useLayers } from "../sync-react/use-following.js";
import { type FetcherTools, fetchFollowed, isKnown, registryOfCache, swrHost } from "./cache.js";

export interface TopicSWROptions<Data, SWRError>
  extends Omit<SWRConfiguration<Data, SWRError>, "fetcher">,
    FollowOptions<Data> {}

/**
 * Data of SWR that is kept in step with its topics: no event is lost, none is applied twice, an older response
 * does not undo a newer event, and after a gap it is fetched anew, once. The fetcher gets a `fetch` by which it
 * is known where its response stands.
 */
export function useTopicSWR<Data = unknown, SWRError = Error, SWRKey extends Key = Key>(
  key: SWRKey,
  fetcher: (
    key: Exclude<SWRKey, null | undefined | false>,
    tools: FetcherTools,
  ) => Data | Promise<Data>,
  options: TopicSWROptions<Data, SWRError>,
): SWRResponse<Data, SWRError> {
  const { topics, sync, apply, spreadMs, live, ...config } = options;
  return useFollowedSWR(useSWR, key, fetcher as AnyFetcher, config, (data) => ({
    topics: live === false ? [] : topicsOf(topics, data as Data | undefined),
    rules: () => rulesOf(sync, apply),
    spreadMs: spreadMs ?? SPREAD_MS,
  })) as SWRResponse<Data, SWRError>;
}

type AnyFetcher = (key: never, tools: FetcherTools) => unknown;

/** What the data of a key follows. */
export interface Follows {
  topics: readonly string[];
  rules: () => AnyRules;
  spreadMs: number;
}

/** The next hook of SWR's, with data that follows topics. */
export function useFollowedSWR(
  next: SWRHook,
  key: Key,
  fetcher: AnyFetcher | null,
  config: object,
  follows: (data: unknown) => Follows,
): SWRResponse<unknown, unknown> {
  const live = useTidings();
  const swr = useSWRConfig();
  const registry = registryOfCache(swr);
  const name = unstable_serialize(key);
  const isEmpty = name === "";
  const { topics, rules, spreadMs } = follows(swr.cache.get(name)?.data);
  const isOn = !isEmpty && topics.length > 0;
  const plain = typeof key === "function" && !isEmpty ? key() : key;
  const followed = useFollowing({
    live,
    registry,
    name,
    host: () => swrHost(swr, plain, name),
    topics: isOn ? topics : [],
    rules,
    spreadMs,
  });
  const over = useLayers(registry, name);
  const isFollowed = isOn && (followed.live || isKnown(swr, name));
  const response = next(
    key,
    fetcher === null
      ? null
      : (arg: never) => fetchFollowed(live, swr, plain, name, (tools) => fetcher(arg, tools)),
    {
      ...config,
      ...(isFollowed ? { revalidateOnReconnect: false } : {}),
      // What is followed does not grow stale; but what is known to lack something is fetched when looked at.
      ...(isFollowed && isKnown(swr, name)
        ? { revalidateIfStale: false, revalidateOnFocus: false }
        : {}),
    } as SWRConfiguration<unknown, unknown, Fetcher<unknown>>,
  );
  return useLayered(response, over);
}

/** The response of SWR, whose fields are read only when the component reads them. */
function useLayered<T, E>(response: SWRResponse<T, E>, over: readonly Layer[]): SWRResponse<T, E> {
  const last = useRef<{ base: T | undefined; over: readonly Layer[]; data: T | undefined }>(null);
  return useMemo(
    () => ({
      mutate: response.mutate,
      get data() {
        const base = response.data;
        if (last.current?.base !== base || last.current?.over !== over)
          last.current = { base, over, data: withLayers(base, over) };
        return last.current.data;
      },
      get error() {
        return response.error;
      },
      get isLoading() {
        return response.isLoading;
      },
      get isValidating() {
        return response.isValidating;
      },
    }),
    [response, over],
  ) as SWRResponse<T, E>;
}
