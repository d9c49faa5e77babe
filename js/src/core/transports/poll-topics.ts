/** What one poll asks for: topics, their positions, and who waits for the first answer about each. */

import type { FrameId } from "../frames.js";
import type { RawFrame } from "../machine/values.js";
import { isObject } from "./http-requests.js";

/** Refusals that pass by themselves; any other ends the topic. */
const PASSING: ReadonlySet<unknown> = new Set(["rate_limited", "unavailable", "internal"]);

export interface Question {
  readonly topics: readonly string[];
  readonly since: Readonly<Record<string, string>>;
}

interface Followed {
  cursor: string | null;
  /** The question of the machine that this topic has not been answered to; `none` where it has. */
  waiting: { readonly id: FrameId | undefined; confirmed: boolean } | null;
}

export class PollTopics {
  readonly #topics = new Map<string, Followed>();

  get size(): number {
    return this.#topics.size;
  }

  /** One of them, to knock with. */
  any(): string | undefined {
    return this.#topics.keys().next().value;
  }

  add(names: readonly string[], since: Readonly<Record<string, string>>, id?: FrameId): void {
    for (const name of names) {
      const cursor = Object.hasOwn(since, name) ? (since[name] ?? null) : null;
      this.#topics.set(name, { cursor, waiting: { id, confirmed: false } });
    }
  }

  remove(names: readonly string[]): void {
    for (const name of names) this.#topics.delete(name);
  }

  question(): Question {
    const since = [...this.#topics].flatMap(([name, { cursor }]) =>
      cursor === null ? [] : [[name, cursor] as const],
    );
    return { topics: [...this.#topics.keys()], since: Object.fromEntries(since) };
  }

  /**
   * Those whose start nobody would tell before something happens: a question that names all positions is held.
   * Each is named once.
   */
  unconfirmed(): string[] {
    const all = [...this.#topics];
    if (all.some(([, { cursor }]) => cursor === null)) return []; // that question is answered at once
    return all.flatMap(([name, { waiting }]) => {
      if (waiting === null || waiting.confirmed) return [];
      waiting.confirmed = true;
      return [name];
    });
  }

  /** The answer to where those stand: that of a topic which has not moved on is its start. */
  confirm(frames: readonly RawFrame[]): RawFrame[] {
    const stands = frames.flatMap(({ type, topics }) =>
      type === "subscribed" && isObject(topics) ? Object.entries(topics) : [],
    );
    return stands.flatMap(([name, answer]) => {
      const followed = this.#topics.get(name);
      if (!isObject(answer) || !followed?.waiting || answer.cursor !== followed.cursor) return [];
      const { id } = followed.waiting;
      followed.waiting = null;
      return [subscribed([[name, { cursor: followed.cursor, recovered: true }]], id)];
    });
  }

  /** The frames of an answer as a session would send them: each topic's start is told once. */
  answer({ topics, since }: Question, frames: readonly RawFrame[]): RawFrame[] {
    // One that left and came back meanwhile, with another position, has not been asked for yet.
    const asked = new Set(
      topics.filter((name) => (since[name] ?? null) === this.#topics.get(name)?.cursor),
    );
    return frames.flatMap((frame) => {
      if (frame.type === undefined) return this.#event(frame, asked);
      if (frame.type === "subscribed") return this.#subscribed(frame, asked);
      if (frame.type === "error") return this.#refused(frame);
      return [frame];
    });
  }

  #event(frame: RawFrame, asked: ReadonlySet<string>): RawFrame[] {
    const topic = typeof frame.topic === "string" ? frame.topic : "";
    const followed = this.#topics.get(topic);
    if (followed === undefined || !asked.has(topic)) return [];
    if (typeof frame.cursor === "string") followed.cursor = frame.cursor;
    return [frame];
  }

  #subscribed(frame: RawFrame, asked: ReadonlySet<string>): RawFrame[] {
    const byQuestion = new Map<FrameId | undefined, [string, unknown][]>();
    const broken: [string, unknown][] = [];
    for (const [name, answer] of Object.entries(isObject(frame.topics) ? frame.topics : {})) {
      const followed = this.#topics.get(name);
      if (followed === undefined || !asked.has(name) || !isObject(answer)) continue;
      if (typeof answer.cursor === "string") followed.cursor = answer.cursor;
      else followed.cursor = null;
      const { waiting } = followed;
      followed.waiting = null;
      if (waiting === null) {
        if (answer.recovered !== true) broken.push([name, answer]);
      } else {
        const same = byQuestion.get(waiting.id) ?? [];
        byQuestion.set(waiting.id, [...same, [name, answer]]);
      }
    }
    const told = [...byQuestion].map(([id, answers]) => subscribed(answers, id));
    return broken.length === 0 ? told : [...told, subscribed(broken, undefined)];
  }

  #refused(frame: RawFrame): RawFrame[] {
    const topic = typeof frame.topic === "string" ? frame.topic : "";
    const followed = this.#topics.get(topic);
    if (followed === undefined) return [frame];
    const { waiting } = followed;
    const { id: _, ...error } = frame;
    if (waiting !== null) {
      // The machine decides whether and when to ask again.
      this.#topics.delete(topic);
      return [waiting.id === undefined ? error : { ...error, id: waiting.id }];
    }
    if (PASSING.has(frame.code)) return []; // it is asked for again with the others
    this.#topics.delete(topic);
    return [
      { type: "unsubscribed", topic: "system", topics: [topic], reason: "permission_changed" },
    ];
  }
}

function subscribed(answers: [string, unknown][], id: FrameId | undefined): RawFrame {
  const topics = Object.fromEntries(answers);
  return { type: "subscribed", topic: "system", topics, ...(id === undefined ? {} : { id }) };
}
