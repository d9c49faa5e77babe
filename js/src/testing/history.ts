/** The events of one topic, and from where they can be replayed. */

import { UnrecoveredReason } from "../core/codes.js";
import { parseCursor } from "../core/cursor.js";
import type { TidingsEvent } from "../core/event.js";
import type { TopicAnswer } from "../core/frames.js";

export class History {
  readonly #newEpoch: () => string;
  #epoch: string;
  #offset = 0;
  /** Events up to here are gone, and why. */
  #goneTo = 0;
  #goneBy: UnrecoveredReason = UnrecoveredReason.TRIMMED;
  #events: TidingsEvent[] = [];

  constructor(newEpoch: () => string) {
    this.#newEpoch = newEpoch;
    this.#epoch = newEpoch();
  }

  /** Where the newest event stands. */
  get head(): string {
    return `${this.#epoch}-${this.#offset}`;
  }

  add(event: Omit<TidingsEvent, "cursor">): TidingsEvent {
    this.#offset += 1;
    const added = { ...event, cursor: this.head };
    this.#events.push(added);
    return added;
  }

  /** Something happened that nobody can be told of any more. */
  lose(reason: UnrecoveredReason): void {
    if (reason === UnrecoveredReason.EPOCH_CHANGED) {
      this.#epoch = this.#newEpoch();
      this.#offset = 0;
    } else this.#offset += 1;
    this.#goneTo = this.#offset;
    this.#goneBy = reason;
    this.#events = [];
  }

  /** The answer to a subscribe, and the missed events that follow it. */
  from(since: string | undefined): { answer: TopicAnswer; missed: readonly TidingsEvent[] } {
    const reason = this.#whyNot(since);
    if (reason !== null || since === undefined) {
      const why = reason ?? UnrecoveredReason.NO_CURSOR;
      return { answer: { cursor: this.head, recovered: false, reason: why }, missed: [] };
    }
    const seen = Number(parseCursor(since)?.offset);
    const missed = this.#events.slice(Math.max(0, seen - this.#goneTo));
    return { answer: { cursor: since, recovered: true }, missed };
  }

  #whyNot(since: string | undefined): UnrecoveredReason | null {
    if (since === undefined) return UnrecoveredReason.NO_CURSOR;
    const cursor = parseCursor(since);
    if (cursor === null) return UnrecoveredReason.BAD_CURSOR;
    if (cursor.epoch !== this.#epoch) return UnrecoveredReason.EPOCH_CHANGED;
    const offset = Number(cursor.offset);
    if (offset > this.#offset) return UnrecoveredReason.AHEAD;
    return offset < this.#goneTo ? this.#goneBy : null;
  }
}
