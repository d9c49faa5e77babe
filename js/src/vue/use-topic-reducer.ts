/** A value that events change. */

import { type MaybeRefOrGetter, type ShallowRef, shallowRef } from "vue";
import type { EventOf, TopicState } from "../core/types.js";
import { type UseTopicOptions, useTopic } from "./use-topic.js";

/** Folds each event into the value, once and in order; a burst of them is one render. */
export function useTopicReducer<S, const T extends string>(
  topics: MaybeRefOrGetter<T | readonly T[] | null | undefined>,
  reducer: (value: S, event: EventOf<T>) => S,
  initial: S,
  options: UseTopicOptions = {},
): { value: Readonly<ShallowRef<S>>; state: Readonly<ShallowRef<TopicState>> } {
  const value = shallowRef(initial);
  const { state } = useTopic(
    topics,
    (event: EventOf<T>) => {
      value.value = reducer(value.value, event);
    },
    options,
  );
  return { value, state };
}
