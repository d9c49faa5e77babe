/** `useMutation` whose change is seen at once, and undone if it is refused. */

import {
  type MutationObserverOptions,
  type QueryKey,
  type UseMutationReturnType,
  useMutation,
  useQueryClient,
} from "@tanstack/vue-query";
import { type MaybeRefOrGetter, toValue } from "vue";
import type { ChangeOptions } from "../sync/change.js";
import type { ChangeTools } from "../sync/tools.js";
import { changeCallbacks } from "../tanstack/mutation.js";
import { useTidings } from "../vue/provide.js";
import { targetOf } from "./library.js";

export interface TopicMutationOptions<TData, TError, TVariables, TOnMutate, TCached>
  extends Omit<MutationObserverOptions<TData, TError, TVariables, TOnMutate>, "mutationFn">,
    Omit<ChangeOptions<TData, TVariables, TCached>, "send"> {
  mutationFn: (variables: TVariables, tools: ChangeTools) => Promise<TData>;
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
  options: MaybeRefOrGetter<TopicMutationOptions<TData, TError, TVariables, TOnMutate, TCached>>,
): UseMutationReturnType<TData, TError, TVariables, TOnMutate> {
  const client = useQueryClient();
  const live = useTidings();
  const { mutationFn, queryKey, optimistic, revisionOf, onConflict, ...rest } = toValue(options);
  const parts = {
    live,
    target: () => targetOf(client, toValue(options).queryKey),
    options: (): ChangeOptions<TData, TVariables, TCached> => {
      const { mutationFn: send, ...more } = toValue(options);
      return { ...more, send };
    },
  };
  return useMutation({
    // The browser's word on being offline is a guess: the request itself tells, and then the change is undone.
    networkMode: "always",
    ...rest,
    ...changeCallbacks<TData, TVariables, TCached>(parts, new Map(), rest),
  } as never) as UseMutationReturnType<TData, TError, TVariables, TOnMutate>;
}
