"use client";
/** `useMutation` whose change is seen at once, and undone if it is refused. */

import {
  hashKey,
  type QueryClient,
  type QueryKey,
  type UseMutationOptions,
  type UseMutationResult,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { useRef } from "react";
import type { Live, Mutation } from "../core/types.js";
import { useLatest } from "../react/latest.js";
import { useTidings } from "../react/provider.js";
import { refetchAfter } from "./coalesce.js";
import { type Layer, layersOf, tick } from "./layers.js";
import { followerOf } from "./registry.js";

/** How long a change that succeeded waits for its own event before the query is fetched instead. */
const ECHO_MS = 1_000;

/** What a mutation needs to be known again: use `fetch`, or send `headers` yourself. */
export interface MutationTools {
  readonly traceId: string;
  readonly headers: { readonly traceparent: string };
  readonly fetch: typeof fetch;
}

export interface TopicMutationOptions<TData, TError, TVariables, TOnMutate, TCached>
  extends Omit<UseMutationOptions<TData, TError, TVariables, TOnMutate>, "mutationFn"> {
  mutationFn: (variables: TVariables, tools: MutationTools) => Promise<TData>;
  /** The query whose data changes (it is read with `useTopicQuery`). */
  queryKey: QueryKey;
  /** The data as it will be. Called again whenever the data below it changes, so it must not keep a result. */
  optimistic?: (data: TCached, variables: TVariables) => TCached;
}

/**
 * The change is laid over the query's data at once. It ends when its own event has been applied (known by the
 * trace that went out with the request), when a fetch that began later has answered, or when it is refused.
 */
export function useTopicMutation<
  TData = unknown,
  TError = Error,
  TVariables = void,
  TOnMutate = unknown,
  TCached = unknown,
>(
  options: TopicMutationOptions<TData, TError, TVariables, TOnMutate, TCached>,
): UseMutationResult<TData, TError, TVariables, TOnMutate> {
  const { mutationFn, queryKey, optimistic, onMutate, onError, ...rest } = options;
  const client = useQueryClient();
  const live = useTidings();
  const latest = useLatest({ mutationFn, queryKey, optimistic });
  const underWay = useRef(new Map<unknown, Laid>()).current;

  /** Once for a mutation, however often it is tried: between two tries its change stays on the screen. */
  const lay = (key: unknown, variables: TVariables): Laid => {
    const { queryKey: of, optimistic: change } = latest.current;
    const trace = live.mutation();
    const layer: Layer = {
      traceId: trace.traceId,
      change: (data) =>
        data === undefined || change === undefined ? data : change(data as TCached, variables),
      settledAt: null,
    };
    const laid = { trace, layer, queryKey: of, hash: hashOf(client, of) };
    underWay.set(key, laid);
    layersOf(client, laid.hash).add(layer);
    return laid;
  };

  return useMutation<TData, TError, TVariables, TOnMutate>({
    // The browser's word on being offline is a guess: the request itself tells, and then the change is undone.
    networkMode: "always",
    ...rest,
    // Here and not with the request: a mutation that waits for its turn, or for the network, is seen at once.
    onMutate: (variables, ...more) => {
      lay(keyOf(variables, more), variables);
      return onMutate?.(variables, ...more) as TOnMutate;
    },
    mutationFn: async (variables: TVariables, ...more: unknown[]) => {
      const key = keyOf(variables, more);
      // One that was kept over a reload comes without its `onMutate`.
      const laid = underWay.get(key) ?? lay(key, variables);
      const result = await latest.current.mutationFn(variables, toolsOf(live, laid.trace));
      underWay.delete(key);
      settle(client, laid);
      return result;
    },
    onError: (error, variables, result, ...more) => {
      const key = keyOf(variables, more);
      const laid = underWay.get(key);
      underWay.delete(key);
      if (laid !== undefined) layersOf(client, laid.hash).remove((one) => one === laid.layer);
      return onError?.(error, variables, result, ...more);
    },
  });
}

/** A change of this page that has no answer yet. */
interface Laid {
  readonly trace: Mutation;
  readonly layer: Layer;
  readonly queryKey: QueryKey;
  readonly hash: string;
}

/** What tells one mutation from another: the context that TanStack Query hands to its functions, where it does. */
function keyOf(variables: unknown, more: readonly unknown[]): unknown {
  return more[0] ?? variables;
}

function toolsOf(live: Live, trace: Mutation): MutationTools {
  const { traceparent } = trace.headers;
  return {
    ...trace,
    fetch(input, init) {
      const own = typeof input === "object" && "headers" in input ? input.headers : undefined;
      const headers = new Headers(init?.headers ?? own);
      headers.set("traceparent", traceparent);
      return live.fetch(input, { ...init, headers });
    },
  };
}

/** The request has succeeded. Its event ends the layer; where none comes, a fetch does. */
function settle(client: QueryClient, { layer, queryKey, hash }: Laid): void {
  layer.settledAt ??= tick();
  const layers = layersOf(client, hash);
  const isOpen = (): boolean => layers.get().includes(layer);
  if (!isOpen()) return; // its event came before the response
  const refetch = (): void => {
    if (!isOpen()) return;
    const follower = followerOf(client, hash);
    const end = (): void => layers.remove((one) => one === layer);
    if (follower !== undefined) follower.refetch(true);
    else refetchAfter(client, queryKey, hash).then(end, end);
  };
  if (followerOf(client, hash)?.liveness.state.live === true) setTimeout(refetch, ECHO_MS);
  else refetch();
}

function hashOf(client: QueryClient, queryKey: QueryKey): string {
  return client.getQueryCache().find({ queryKey, exact: true })?.queryHash ?? hashKey(queryKey);
}
