/** Where a piece of data is, in each of its topics. */

import { compareCursors } from "../core/cursor.js";
import type { TidingsEvent } from "../core/event.js";
import type { CursorsByTopic } from "./host.js";

/** How a response stands to the stream. */
export type Standing = "covered" | "apart" | "unknown";

export class DataPositions {
  readonly #byTopic: Map<string, string>;
  /** Topics of which the last response did not fit the stream. */
  readonly #apart = new Set<string>();

  constructor(known: CursorsByTopic | undefined) {
    this.#byTopic = new Map(Object.entries(known ?? {}));
  }

  get(topic: string): string | undefined {
    return this.#byTopic.get(topic);
  }

  set(topic: string, cursor: string): void {
    this.#byTopic.set(topic, cursor);
  }

  forget(topic: string): void {
    this.#byTopic.delete(topic);
  }

  /** Those of some topics, as far as they are known. */
  of(topics: readonly string[]): CursorsByTopic {
    const known = topics.map((topic) => [topic, this.#byTopic.get(topic)]);
    return Object.fromEntries(known.filter(([, cursor]) => cursor !== undefined)) as CursorsByTopic;
  }

  /** All of them; null where there are none. */
  all(): CursorsByTopic | null {
    return this.#byTopic.size === 0 ? null : Object.fromEntries(this.#byTopic);
  }

  /** Whether the data does not hold the event yet. */
  isNew({ topic, cursor }: TidingsEvent): boolean {
    const position = this.#byTopic.get(topic);
    return position === undefined || (compareCursors(cursor, position) ?? 1) === 1;
  }

  /** The data holds the event. */
  passed(event: TidingsEvent): void {
    // One of a wildcard has a cursor too; what has none moves nothing.
    if (typeof event.cursor === "string" && this.isNew(event)) this.set(event.topic, event.cursor);
  }

  /**
   * `covered`: all that came after the cursor is there since `from`. `apart`: the stream must begin anew from it.
   * Where that did not help the time before, servers disagree about positions: then it is `unknown`, for asking
   * again and again would help no more.
   */
  standing(topic: string, cursor: string, from: string | undefined): Standing {
    if (from === undefined) return "apart";
    if ((compareCursors(cursor, from) ?? -1) >= 0) {
      this.#apart.delete(topic);
      return "covered";
    }
    if (this.#apart.has(topic)) return "unknown";
    this.#apart.add(topic);
    return "apart";
  }
}
