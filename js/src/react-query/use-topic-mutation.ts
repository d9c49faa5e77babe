"use client";
/** `useMutation` whose change is seen at once, and undone if it is refused. */

import {
  type QueryClient,
  type QueryKey,
  type UseMutationOptions,
  type UseMutationResult,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { useRef } from "react";
import { useLatest } from "../react/latest.js";
import { useTidings } from "../react/provider.js";
import { Change, type ChangeOptions, type Target } from "../sync/change.js";
import type { ChangeTools } from "../sync/tools.js";
import { queryHost } from "../tanstack/host.js";
import { hashOf, LIBRARY, registryFor } from "./library.js";

/** What a mutation needs to be known again: use `fetch`, or send `headers` yourself. */
export type MutationTools = ChangeTools;

export interface TopicMutationOptions<TData, TError, TVariables, TOnMutate, TCached>
  extends Omit<UseMutationOptions<TData, TError, TVariables, TOnMutate>, "mutationFn">,
    Omit<ChangeOptions<TData, TVariables, TCached>, "send"> {
  mutationFn: (variables: TVariables, tools: MutationTools) => Promise<TData>;
  /** The query whose data changes (it is read with `useTopicQuery`). */
  queryKey: QueryKey;
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
  const { mutationFn, queryKey, optimistic, revisionOf, onConflict, onMutate, onError, ...rest } =
    options;
  const client = useQueryClient();
  const live = useTidings();
  const latest = useLatest({ send: mutationFn, queryKey, optimistic, revisionOf, onConflict });
  const underWay = useRef(new Map<unknown, Change<TData, TVariables, TCached>>()).current;

  /** Once for a mutation, however often it is tried: between two tries its change stays on the screen. */
  const lay = (key: unknown, variables: TVariables): Change<TData, TVariables, TCached> => {
    const target = queryTarget(client, latest.current.queryKey);
    const change = new Change(live, target, variables, () => latest.current);
    underWay.set(key, change);
    return change;
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
      const change = underWay.get(key) ?? lay(key, variables);
      const { result } = await change.send();
      underWay.delete(key);
      return result;
    },
    onError: (error, variables, result, ...more) => {
      const key = keyOf(variables, more);
      underWay.get(key)?.undo();
      underWay.delete(key);
      return onError?.(error, variables, result, ...more);
    },
  });
}

/** A query as what changes are laid over. */
export function queryTarget(client: QueryClient, queryKey: QueryKey): Target {
  const hash = hashOf(client, queryKey);
  const registry = registryFor(client);
  const host = queryHost(client, LIBRARY, queryKey, hash);
  return {
    layers: registry.layers(hash),
    follower: () => registry.follower(hash),
    read: host.read,
    refetch: host.refetch,
  };
}

/** What tells one mutation from another: the context that TanStack Query hands to its functions, where it does. */
function keyOf(variables: unknown, more: readonly unknown[]): unknown {
  return more[0] ?? variables;
}
