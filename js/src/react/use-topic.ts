"use client";
/** A component's use of topics. */

import { useCallback, useState, useSyncExternalStore } from "react";
import { compareCursors } from "../core/cursor.js";
import type { EventOf, Gap, Live, SubscribeOptions, TopicState } from "../core/types.js";
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

const ON_SERVER: TopicState = Object.freeze({ state: "subscribing", error: null });
const UNUSED: TopicState = Object.freeze({ state: "idle", error: null });
/** With several topics the state is that of the one that needs most attention. */
const URGENCY: readonly TopicState["state"][] = ["live", "idle", "subscribing", "stale", "denied"];

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
  return useSyncExternalStore(subscribe, state, () => (key === "[]" ? UNUSED : ON_SERVER));
}

/**
 * How far this component has been served. A subscription that is made anew (another list of topics, a page that
 * was hidden) goes on from there, not from the `since` of long ago.
 */
class Positions {
  readonly #seen = new Map<string, string>();
  #since: SubscribeOptions["since"];

  note(topic: string, cursor: string | null | undefined): void {
    if (typeof cursor === "string") this.#seen.set(topic, cursor);
    else this.#seen.delete(topic);
  }

  start(topics: readonly string[], since: SubscribeOptions["since"]): Record<string, string> {
    const isNew = JSON.stringify(since) !== JSON.stringify(this.#since);
    this.#since = since;
    const starts: [string, string][] = [];
    for (const topic of topics) {
      const seen = this.#seen.get(topic) ?? null;
      const given = (typeof since === "string" ? since : since?.[topic]) ?? null;
      const start = seen === null || (given !== null && isLater(given, seen, isNew)) ? given : seen;
      if (start !== null) starts.push([topic, start]);
    }
    return Object.fromEntries(starts);
  }
}

/** Of two epochs a position that has just been given is the newer one. */
function isLater(given: string, seen: string, isNew: boolean): boolean {
  const order = compareCursors(given, seen);
  return order === null ? isNew : order === 1;
}

function keyOf(topics: string | readonly string[] | null | undefined): string {
  const names = typeof topics === "string" ? [topics] : (topics ?? []);
  return JSON.stringify([...new Set(names)].sort());
}

function namesOf(key: string): string[] {
  return JSON.parse(key) as string[];
}

function stateOf(live: Live, names: readonly string[]): TopicState {
  let worst: TopicState | null = null;
  for (const name of names) {
    const topic = live.topicState(name);
    // Before its effect has run, a component already knows that it will subscribe.
    const state = topic.state === "idle" ? ON_SERVER : topic;
    if (worst === null || URGENCY.indexOf(state.state) > URGENCY.indexOf(worst.state))
      worst = state;
  }
  return worst ?? UNUSED;
}
