/** A world without time, network or browser of its own: tests move the clock and speak for the server. */

import { Client } from "../src/core/client.js";
import type { Environment, PageSignal, SocketLike } from "../src/core/environment.js";
import type { TidingsEvent } from "../src/core/event.js";
import type { ConnectOptions } from "../src/core/types.js";

type Frame = Record<string, unknown>;

export class FakeSocket implements SocketLike {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  readonly sent: Frame[] = [];
  closed: number | null = null;

  constructor(readonly url: string) {}

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Frame);
  }

  close(code = 1000): void {
    if (code !== 1000 && (code < 3000 || code > 4999)) throw new Error("InvalidAccessError");
    this.closed = code;
  }

  open(): void {
    this.onopen?.({} as never);
  }

  /** The server says something; a string is sent as it is. */
  say(frame: Frame | string): void {
    const data = typeof frame === "string" ? frame : JSON.stringify(frame);
    this.onmessage?.({ data } as never);
  }

  welcome(more: Frame = {}): void {
    this.open();
    this.say({
      type: "welcome",
      topic: "system",
      protocol: 1,
      user: "u-1",
      tenant: null,
      session: "s-1",
      time: "2026-11-23T15:00:00.000Z",
      heartbeat_seconds: 25,
      expires_in_seconds: null,
      limits: { topics_per_frame: 100, topics_per_connection: 256, frame_bytes: 131072 },
      ...more,
    });
  }

  /** Answer the last subscribe: each topic starts at the given cursor, or at `since` where one was sent. */
  answer(cursor = "k-0"): void {
    const asked = this.sent.filter((frame) => frame.type === "subscribe").at(-1);
    const since = (asked?.since ?? {}) as Record<string, string>;
    const topics = ((asked?.topics ?? []) as string[]).map((topic) => [
      topic,
      since[topic] === undefined
        ? { cursor, recovered: false, reason: "no_cursor" }
        : { cursor: since[topic], recovered: true },
    ]);
    this.say({
      type: "subscribed",
      topic: "system",
      topics: Object.fromEntries(topics),
      id: asked?.id,
    });
  }

  event(
    topic: string,
    cursor: string,
    more: Partial<TidingsEvent> & { payload?: unknown } = {},
  ): void {
    const { payload = null, ...rest } = more;
    const data = { entity_id: "g-7", payload, timestamp: "2026-11-23T15:00:00.000Z" };
    this.say({ topic, event: "UPDATED", data, cursor, ...rest });
  }

  end(code: number): void {
    this.onclose?.({ code } as never);
  }

  frames(type: string): Frame[] {
    return this.sent.filter((frame) => frame.type === type);
  }
}

export class World {
  readonly sockets: FakeSocket[] = [];
  readonly requests: { url: string; headers: Headers }[] = [];
  readonly #timers = new Set<{ at: number; run: () => void }>();
  readonly environment: Environment;
  tell: (signal: PageSignal) => void = () => {};
  /** What the browser's session remembers. */
  readonly memory = new Map<string, string>();
  watched = 0;
  time = 1_000_000;
  chance = 0.5;
  respond: (url: string) => Response = () => new Response("{}");

  constructor(more: Partial<Environment> = {}) {
    const world = this;
    this.environment = {
      now: () => world.time,
      random: () => world.chance,
      randomHex: (bytes) => {
        world.#hex += 1;
        return world.#hex.toString(16).padStart(bytes * 2, "0");
      },
      timer(ms, run) {
        const timer = { at: world.time + ms, run };
        world.#timers.add(timer);
        return () => world.#timers.delete(timer);
      },
      microtask: (run) => queueMicrotask(run),
      base: "https://app.example/lists/1?x=1#top",
      inert: false,
      page: () => ({ hidden: false, prerendering: false, slow: false }),
      recall: (name) => world.memory.get(name) ?? null,
      remember: (name, value) => world.memory.set(name, value),
      watchPage(tell) {
        world.watched += 1;
        world.tell = tell;
        return () => {
          world.watched -= 1;
        };
      },
      WebSocket: class extends FakeSocket {
        constructor(url: string) {
          super(url);
          world.sockets.push(this);
        }
      },
      fetch: (async (input: RequestInfo | URL, init?: RequestInit) => {
        const url = String(input);
        world.requests.push({ url, headers: new Headers(init?.headers) });
        return world.respond(url);
      }) as typeof fetch,
      ...more,
    };
  }

  #hex = 0;

  client(options: ConnectOptions = {}): Client {
    // Most tests are about one transport; those of the ladder name theirs.
    const transports = ["websocket"] as const;
    return new Client({ development: false, transports, ...options }, this.environment);
  }

  get socket(): FakeSocket {
    const last = this.sockets.at(-1);
    if (last === undefined) throw new Error("nothing has been dialled");
    return last;
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Let time pass, with all that falls due in it. */
  pass(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.time = Math.max(this.time, due.at);
      due.run();
    }
    this.time = end;
  }
}

/** Let all microtasks that are waiting, and those that they start, run. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
