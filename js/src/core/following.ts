/** What a component's use of topics comes to, whatever the framework. */

import { compareCursors } from "./cursor.js";
import type { Live, SubscribeOptions, TopicState } from "./types.js";

/** Before its effect has run, and on a rendering server, a component already knows that it will subscribe. */
export const SOON: TopicState = Object.freeze({ state: "subscribing", error: null });
/** Of no topic. */
export const UNUSED: TopicState = Object.freeze({ state: "idle", error: null });
/** With several topics the state is that of the one that needs most attention. */
const URGENCY: readonly TopicState["state"][] = ["live", "idle", "subscribing", "stale", "denied"];

/**
 * How far a component has been served. A subscription that is made anew (another list of topics, a page that was
 * hidden) goes on from there, not from the `since` of long ago.
 */
export class Positions {
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

/** Topics as one text: the same for lists that name the same. */
export function keyOf(topics: string | readonly string[] | null | undefined): string {
  const names = typeof topics === "string" ? [topics] : (topics ?? []);
  return JSON.stringify([...new Set(names)].sort());
}

export function namesOf(key: string): string[] {
  return JSON.parse(key) as string[];
}

/** One state for several topics. */
export function stateOf(live: Live, names: readonly string[]): TopicState {
  let worst: TopicState | null = null;
  for (const name of names) {
    const topic = live.topicState(name);
    const state = topic.state === "idle" ? SOON : topic;
    if (worst === null || URGENCY.indexOf(state.state) > URGENCY.indexOf(worst.state))
      worst = state;
  }
  return worst ?? UNUSED;
}
