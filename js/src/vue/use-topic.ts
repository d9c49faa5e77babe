/** A component's use of topics. */

import {
  computed,
  type MaybeRefOrGetter,
  onScopeDispose,
  type ShallowRef,
  shallowRef,
  toValue,
  watch,
} from "vue";
import { keyOf, namesOf, Positions, stateOf } from "../core/following.js";
import type { EventOf, Gap, SubscribeOptions, TopicState } from "../core/types.js";
import { useTidings } from "./provide.js";
import { useShown } from "./use-shown.js";

export interface UseTopicOptions {
  /** The position of the data that the component has: a cursor, or cursors by topic. */
  since?: MaybeRefOrGetter<SubscribeOptions["since"]>;
  /** False costs nothing at all: no connection, no subscription. */
  enabled?: MaybeRefOrGetter<boolean>;
  /** Events may have been missed: fetch anew. */
  onGap?: (gap: Gap) => void;
}

/**
 * Calls the handler with each event of the topics, once and in order. Nothing to use: `null`, an empty list, or
 * `enabled: false`. Topics may be a ref or a getter; only topics that really change cause traffic. It ends with
 * the scope, and rests while `KeepAlive` has put the component away.
 */
export function useTopic<const T extends string>(
  topics: MaybeRefOrGetter<T | readonly T[] | null | undefined>,
  handler: (event: EventOf<T>) => void,
  options: UseTopicOptions = {},
): { state: Readonly<ShallowRef<TopicState>> } {
  const live = useTidings();
  const shown = useShown();
  const seen = new Positions();
  const key = computed(() => keyOf(toValue(options.enabled) === false ? null : toValue(topics)));
  const held = computed(() => (shown.value ? key.value : "[]"));
  const state = shallowRef(stateOf(live, namesOf(key.value)));
  let off = (): void => {};

  const subscribe = (key: string): void => {
    const before = off;
    const names = namesOf(key) as T[];
    const changed = (): void => {
      state.value = stateOf(live, names);
    };
    off =
      names.length === 0
        ? () => {}
        : live.subscribe(
            names,
            (event: EventOf<T>) => {
              seen.note(event.topic, event.cursor);
              handler(event);
            },
            {
              since: seen.start(names, toValue(options.since)),
              onState: changed,
              onGap(gap) {
                seen.note(gap.topic, gap.cursor);
                options.onGap?.(gap);
              },
            },
          );
    before();
    changed();
  };
  // A rendering server has no screen to keep up to date.
  if (typeof window === "undefined") return { state };
  watch(held, subscribe, { immediate: true });
  onScopeDispose(() => off());
  return { state };
}
