/** Changes to queries that wait in a queue while the server is away, and over a reload. */

import type { QueryClient, QueryKey } from "@tanstack/vue-query";
import { onScopeDispose, type ShallowRef, shallowRef } from "vue";
import type { ChangeOptions } from "../sync/change.js";
import type { ChangeQueue, WaitingChange } from "../sync/queue.js";
import type { ChangeTools } from "../sync/tools.js";
import { targetOf } from "./library.js";

export interface QueuedMutationOptions<TData, TVariables, TCached>
  extends Omit<ChangeOptions<TData, TVariables, TCached>, "send"> {
  mutationFn: (variables: TVariables, tools: ChangeTools) => Promise<TData>;
  /** The query whose data changes. */
  queryKey: (variables: TVariables) => QueryKey;
}

/**
 * Say what a kind of change does, once, outside of components. The returned function makes one: hand it to
 * `useMutation` as `mutationFn` (with `networkMode: "always"`), or call it.
 */
export function queuedMutation<TData, TVariables, TCached>(
  queue: ChangeQueue,
  client: QueryClient,
  name: string,
  { mutationFn, queryKey, ...options }: QueuedMutationOptions<TData, TVariables, TCached>,
): (variables: TVariables) => Promise<TData> {
  return queue.define<TData, TVariables, TCached>(name, {
    ...options,
    send: mutationFn,
    target: (variables) => targetOf(client, queryKey(variables)),
  });
}

/** The changes that have no answer yet, in their order. */
export function useWaitingChanges(
  queue: ChangeQueue,
): Readonly<ShallowRef<readonly WaitingChange[]>> {
  const waiting = shallowRef(queue.get());
  const off = queue.subscribe(() => {
    waiting.value = queue.get();
  });
  onScopeDispose(off);
  return waiting;
}
