/** Tidings for Svelte: stores, read as `$list` in components. */

import { connect } from "../core/connect.js";
import { type Humane, type HumaneOptions, HumaneStatus } from "../core/humane.js";
import type { EventOf, Live, SubscribeOptions, TopicState } from "../core/types.js";
import {
  createTopicStore,
  type TopicSnapshot,
  type TopicStore,
  type TopicStoreOptions,
} from "../store/topic-store.js";

export { applyEvent } from "../sync/apply.js";
export * from "../sync/exports.js";

/** What Svelte reads with `$`: the listener is called at once, and at each change. */
export interface Readable<T> {
  subscribe(run: (value: T) => void): () => void;
}

/** Data as a store: `$list.data`, `$list.isLive`. */
export type TopicReadable<T> = Readable<TopicSnapshot<T>> &
  Pick<TopicStore<T>, "refetch" | "change" | "target">;

/** Data that is kept in step with its topics. It is fetched and followed while a component reads it. */
export function topicStore<T>(
  options: TopicStoreOptions<T>,
  live: Live = connect(),
): TopicReadable<T> {
  const store = createTopicStore(live, options);
  return {
    subscribe: (run) => readable(store.subscribe, store.getSnapshot, run),
    refetch: store.refetch,
    change: store.change,
    target: store.target,
  };
}

/** Calls the handler with each event of the topics, once and in order, while a component reads its state. */
export function topic<const T extends string>(
  topics: T | readonly T[],
  handler: (event: EventOf<T>) => void,
  options: SubscribeOptions = {},
  live: Live = connect(),
): Readable<TopicState> {
  const [first = ""] = typeof topics === "string" ? [topics] : topics;
  return {
    subscribe(run) {
      let tell = (): void => {};
      const off = live.subscribe(topics, handler, {
        ...options,
        onState(state, name) {
          tell();
          options.onState?.(state, name);
        },
      });
      tell = () => run(live.topicState(first));
      tell();
      return off;
    },
  };
}

/** The connection in words. */
export function connectionStatus(
  options: HumaneOptions = {},
  live: Live = connect(),
): Readable<Humane> & { retry(): void } {
  const status = new HumaneStatus(live, options);
  return {
    subscribe: (run) => readable(status.subscribe, status.get, run),
    retry: () => live.reconnect(),
  };
}

function readable<T>(
  subscribe: (listener: () => void) => () => void,
  get: () => T,
  run: (value: T) => void,
): () => void {
  let last: T | null = null;
  const tell = (): void => {
    const value = get();
    if (value === last) return;
    last = value;
    run(value);
  };
  const off = subscribe(tell);
  tell();
  return off;
}
