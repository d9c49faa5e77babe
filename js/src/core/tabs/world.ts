/** The browser's locks and its channel between tabs, as little of them as is needed. */

import type { Message } from "./values.js";

/** A lock that is waited for or held; each says once how it went. */
export interface Hold {
  /** Give it back, or wait no longer. */
  release(): void;
}

export interface HoldEvents {
  granted(): void;
  /** It was held, and was taken by force. */
  lost?(): void;
  /** There are no locks to be had here, such as in a sandboxed frame. */
  failed?(): void;
}

export interface Line {
  post(message: Message): void;
  close(): void;
}

export interface TabWorld {
  /** Wait for a lock, or take it from whoever has it. */
  hold(name: string, steal: boolean, events: HoldEvents): Hold;
  /** The names of the locks that are held in this origin. */
  held(): Promise<readonly string[]>;
  /** What the other tabs say. */
  line(name: string, hear: (message: Message) => void): Line;
}

export const BROWSER: TabWorld = {
  hold,
  async held() {
    const { held } = await navigator.locks.query();
    return (held ?? []).map(({ name }) => name ?? "");
  },
  line(name, hear) {
    const channel = new BroadcastChannel(name);
    // A frozen page still hears its channel, and nothing else: it would go on leading without a connection. What
    // comes by a port of one's own waits until the page lives (Chromium 156).
    const { port1, port2 } = new MessageChannel();
    channel.onmessage = ({ data }: MessageEvent<Message>) => port1.postMessage(data);
    port2.onmessage = ({ data }: MessageEvent<Message>) => hear(data);
    return {
      post: (message) => channel.postMessage(message),
      close() {
        channel.close();
        port2.close();
      },
    };
  },
};

function hold(name: string, steal: boolean, { granted, lost, failed }: HoldEvents): Hold {
  const waiting = new AbortController();
  let held = false;
  let over = false;
  let release = (): void => {};
  const run = (): Promise<void> | undefined => {
    if (over) return undefined;
    held = true;
    const kept = new Promise<void>((resolve) => {
      release = resolve;
    });
    granted();
    return kept;
  };
  // Who takes by force does not wait, and the browser refuses a signal with it.
  const options = steal ? { steal } : { signal: waiting.signal };
  navigator.locks.request(name, options, run).catch(() => {
    const tell = held ? lost : failed;
    if (!over) tell?.();
    over = true;
  });
  return {
    release() {
      if (over) return;
      over = true;
      if (held) release();
      else waiting.abort();
    },
  };
}

/** A world without other tabs: every lock is there for the asking, and nobody listens. */
export const ALONE: TabWorld = {
  hold(_name, _steal, { granted }) {
    let over = false;
    queueMicrotask(() => {
      if (!over) granted();
    });
    return {
      release() {
        over = true;
      },
    };
  },
  held: async () => [],
  line: () => ({ post: () => {}, close: () => {} }),
};
