/** The page's subscribers: who is called for what. Each call stands for itself: one that throws harms no other. */

import type { Effect } from "./machine/values.js";
import type { EventOf, Gap, SubscribeOptions, TopicState } from "./types.js";

export interface Subscriber {
  readonly handler: (event: EventOf<string>) => void;
  readonly options: SubscribeOptions;
}

type Addressed = Extract<Effect, { effect: "deliver" | "gap" }>;

export class Subscribers {
  readonly #byTopic = new Map<string, Map<number, Subscriber>>();
  readonly #topics = new Map<number, readonly string[]>();
  readonly #failed: (cause: unknown, topic: string) => void;

  constructor(failed: (cause: unknown, topic: string) => void) {
    this.#failed = failed;
  }

  get size(): number {
    return this.#topics.size;
  }

  add(id: number, topics: readonly string[], subscriber: Subscriber): void {
    this.#topics.set(id, topics);
    for (const topic of topics) {
      const all = this.#byTopic.get(topic) ?? new Map<number, Subscriber>();
      all.set(id, subscriber);
      this.#byTopic.set(topic, all);
    }
  }

  /** Whether there was one of that number. */
  remove(id: number): boolean {
    for (const topic of this.#topics.get(id) ?? []) {
      const all = this.#byTopic.get(topic);
      all?.delete(id);
      if (all?.size === 0) this.#byTopic.delete(topic);
    }
    return this.#topics.delete(id);
  }

  clear(): void {
    this.#byTopic.clear();
    this.#topics.clear();
  }

  deliver(effect: Extract<Addressed, { effect: "deliver" }>): void {
    this.#each(effect.topic, effect.to, ({ handler }) => handler(effect.event as EventOf<string>));
  }

  gap({ topic, reason, cursor, to }: Extract<Addressed, { effect: "gap" }>): void {
    const gap: Gap = Object.freeze({ topic, reason, cursor });
    this.#each(topic, to, ({ options }) => options.onGap?.(gap));
  }

  state(topic: string, state: TopicState): void {
    this.#each(topic, undefined, ({ options }) => options.onState?.(state, topic));
  }

  #each(topic: string, to: readonly number[] | undefined, call: (one: Subscriber) => void): void {
    const all = this.#byTopic.get(topic);
    if (all === undefined) return;
    // A copy, for a handler may subscribe or leave; who has left meanwhile is not called any more.
    for (const id of to ?? [...all.keys()]) {
      const one = all.get(id);
      if (one === undefined) continue;
      try {
        call(one);
      } catch (cause) {
        this.#failed(cause, topic);
      }
    }
  }
}
