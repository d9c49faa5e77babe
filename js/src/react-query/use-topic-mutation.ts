"use client";
/** `useMutation` whose change is seen at once, and undone if it is refused. */

import {
  type QueryKey,
  type UseMutationOptions,
  type UseMutationResult,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { useRef } from "react";
import { useLatest } from "../react/latest.js";
import { useTidings } from "../react/provider.js";
import type { ChangeOptions } from "../sync/change.js";
import type { ChangeTools } from "../sync/tools.js";
import { changeCallbacks, type UnderWay } from "../tanstack/mutation.js";
import { targetOf } from "./library.js";

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
  const { mutationFn, queryKey, optimistic, revisionOf, onConflict, ...rest } = options;
  const client = useQueryClient();
  const live = useTidings();
  const latest = useLatest({ send: mutationFn, queryKey, optimistic, revisionOf, onConflict });
  const underWay = useRef<UnderWay<TData, TVariables, TCached>>(new Map()).current;
  const parts = {
    live,
    target: () => targetOf(client, latest.current.queryKey),
    options: () => latest.current,
  };
  const callbacks = changeCallbacks(parts, underWay, rest);
  return useMutation({
    // The browser's word on being offline is a guess: the request itself tells, and then the change is undone.
    networkMode: "always",
    ...rest,
    ...callbacks,
  } as UseMutationOptions<TData, TError, TVariables, TOnMutate>);
}
