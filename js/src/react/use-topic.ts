"use client";
/** A component's use of topics. */

import { useCallback, useState, useSyncExternalStore } from "react";
import { keyOf, namesOf, Positions, SOON, stateOf, UNUSED } from "../core/following.js";
import type { EventOf, Gap, SubscribeOptions, TopicState } from "../core/types.js";
import { useLatest } from "./latest.js";
import { useTidings } from "./provider.js";

export interface UseTopicOptions {
  /** The position of the data that the component has: a cursor, or cursors by topic. */
  since?: SubscribeOptions["since"];
  /** False costs nothing at all: no connection, no subscription. */
  enabled?: boolean;
  /** Events may have been missed: fetch anew. */
  onGap?: (gap: Gap) => void;
}

/**
 * Calls the handler with each event of the topics, once and in order. Nothing to use: `null`, an empty list, or
 * `enabled: false`. Topics and handler may be written inline; only topics that really change cause traffic.
 */
export function useTopic<const T extends string>(
  topics: T | readonly T[] | null | undefined,
  handler: (event: EventOf<T>) => void,
  options: UseTopicOptions = {},
): TopicState {
  const live = useTidings();
  const latest = useLatest({ handler, options });
  const [seen] = useState(() => new Positions());
  const key = keyOf(options.enabled === false ? null : topics);

  const subscribe = useCallback(
    (changed: () => void) => {
      const names = namesOf(key) as T[];
      if (names.length === 0) return () => {};
      return live.subscribe(
        names,
        (event: EventOf<T>) => {
          seen.note(event.topic, event.cursor);
          latest.current.handler(event);
        },
        {
          since: seen.start(names, latest.current.options.since),
          onState: changed,
          onGap(gap) {
            seen.note(gap.topic, gap.cursor);
            latest.current.options.onGap?.(gap);
          },
        },
      );
    },
    [live, key, latest, seen],
  );
  const state = (): TopicState => stateOf(live, namesOf(key));
  return useSyncExternalStore(subscribe, state, () => (key === "[]" ? UNUSED : SOON));
}
