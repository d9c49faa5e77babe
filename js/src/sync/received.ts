/** The events of the last half minute: what a response that was read before them lacks is laid over it. */

import { compareCursors } from "../core/cursor.js";
import type { TidingsEvent } from "../core/event.js";

const KEPT_MS = 30_000;
const KEPT_EVENTS = 256;

export interface Received {
  readonly at: number;
  /** Counts all events of a follower from 1. */
  readonly number: number;
  readonly event: TidingsEvent;
}

export class ReceivedEvents {
  /** By topic: every event after this position is here or has been applied. */
  readonly from: Map<string, string> = new Map();
  readonly #kept: Received[] = [];
  #count = 0;

  /** How many there have been. */
  get count(): number {
    return this.#count;
  }

  add(event: TidingsEvent): Received {
    this.#count += 1;
    const received = { at: Date.now(), number: this.#count, event };
    this.#kept.push(received);
    while (this.#kept.length > KEPT_EVENTS || this.#isTooOld(this.#kept[0])) {
      const dropped = this.#kept.shift();
      if (dropped !== undefined) this.from.set(dropped.event.topic, dropped.event.cursor);
    }
    return received;
  }

  /** Those of the topic after a position. */
  after(topic: string, cursor: string): readonly Received[] {
    return this.#kept.filter(
      ({ event }) => event.topic === topic && compareCursors(event.cursor, cursor) === 1,
    );
  }

  /** Whether there has been one of the topic since there were so many. */
  isNewSince(count: number, topic: string): boolean {
    return this.#kept.some(({ number, event }) => number > count && concerns(event, topic));
  }

  #isTooOld(received: Received | undefined): boolean {
    return received !== undefined && Date.now() - received.at > KEPT_MS;
  }
}

function concerns(event: TidingsEvent, topic: string): boolean {
  return (
    event.topic === topic || (topic.endsWith(":*") && event.topic.startsWith(topic.slice(0, -1)))
  );
}
