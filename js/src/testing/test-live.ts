/** The client that tests hand to components: the real one, in a world that the test moves. */

import { Client } from "../core/client.js";
import { ErrorCode, UnrecoveredReason } from "../core/codes.js";
import { browserEnvironment, type Environment, type PageSignal } from "../core/environment.js";
import type { TidingsEvent } from "../core/event.js";
import { isTopic } from "../core/topics.js";
import type { ConnectOptions, EventOf, Live, TidingsError } from "../core/types.js";
import { FakeServer, type TestFrame } from "./server.js";
import { FakeSocket } from "./socket.js";
import { FakeTime } from "./time.js";

export interface TestLiveOptions
  extends Omit<ConnectOptions, "url" | "WebSocket" | "name" | "transports" | "share"> {
  /** Who is connected; `test-user` where absent. */
  user?: string;
}

/** The parts of an event that a test may want to set. */
export interface EmitOptions {
  /** The payload's `id` where absent, else `entity`. */
  entityId?: string;
  userId?: string;
  /** Of the request that caused it: by this a page knows its own change again. */
  traceId?: string;
  version?: number;
}

/** `Live`, and what a server, a network and a clock do. Nothing happens but what a test calls for. */
export interface TestLive extends Live {
  /** The server publishes: whoever is subscribed is called before this returns. Throws for what is no topic. */
  emit<const T extends string>(
    topic: T,
    event: EventOf<T>["event"],
    payload?: EventOf<T>["data"]["payload"],
    options?: EmitOptions,
  ): TidingsEvent;
  /**
   * The connection breaks. Until `restore()`, or until so much time has been let pass by `advance`, no other can be
   * made; what is emitted meanwhile is kept, and comes when the client is back.
   */
  drop(ms?: number): void;
  /** The network is back, and the client with it. */
  restore(): void;
  /** The server closes the connection, such as with 4401 or 1012. */
  end(code: number): void;
  /** The server refuses the topic, to subscribe to and to publish on, and takes it away where it is held. */
  deny(topic: string, code?: ErrorCode, message?: string): void;
  /** Take `deny` back; whoever subscribes from now on is let in. */
  allow(topic: string): void;
  /** Events of the topic are lost: `onGap` is called, now or when the client is back. */
  gap(topic: string, reason?: UnrecoveredReason): void;
  /** Somebody else is present on the topic, or says something else of itself. */
  come(topic: string, user: string, state?: Readonly<Record<string, unknown>>): void;
  /** Somebody else is present no longer. */
  go(topic: string, user: string): void;
  /** Who subscribes to the topic from now on gets this warning in `reports`. */
  warn(topic: string, message: string): void;
  /** Let time pass for the connection, with all that falls due in it. */
  advance(ms: number): void;
  /** Do what is under way: after it, what is subscribed to is held. `emit` and the others begin with it. */
  settle(): void;
  /** Where the topic stands at the server: for a fake API's header `Tidings-Cursor`. */
  cursor(topic: string): string;
  /** What the server holds for this client, in order. */
  readonly topics: readonly string[];
  /** The conversation so far. */
  readonly frames: readonly TestFrame[];
  /** What the client has told developers; nothing goes to the console. */
  readonly reports: readonly TidingsError[];
}

/** A client for one test. It connects with the first subscription, as the real one does, and needs no server. */
export function createTestLive(options: TestLiveOptions = {}): TestLive {
  const time = new FakeTime(Date.now());
  const server = new FakeServer(time, options.user ?? "test-user");
  const page = new FakePage();
  return new FakedLive(options, { time, server, page });
}

interface World {
  readonly time: FakeTime;
  readonly server: FakeServer;
  readonly page: FakePage;
}

class FakePage {
  tell: (signal: PageSignal) => void = () => {};

  watch(tell: (signal: PageSignal) => void): () => void {
    this.tell = tell;
    return () => {
      this.tell = () => {};
    };
  }
}

class FakedLive extends Client implements TestLive {
  readonly #world: World;
  readonly reports: readonly TidingsError[];
  #restoring: () => void = () => {};

  constructor(options: TestLiveOptions, world: World) {
    const reports: TidingsError[] = [];
    super(clientOptions(options, reports), environmentOf(world, options.fetch));
    this.#world = world;
    this.reports = reports;
  }

  emit(
    topic: string,
    event: string,
    payload: unknown = null,
    options: EmitOptions = {},
  ): TidingsEvent {
    const { entityId = entityOf(payload), userId, traceId, version } = options;
    if (!isTopic(topic))
      throw new TypeError(`"${topic}" is not a topic: write it as gift-list:123`);
    return this.#do(({ server }) =>
      server.emit({
        topic,
        event,
        data: {
          entity_id: entityId,
          payload,
          ...(userId === undefined ? {} : { user_id: userId }),
        },
        ...(traceId === undefined ? {} : { trace_id: traceId }),
        ...(version === undefined ? {} : { version }),
      }),
    );
  }

  drop(ms?: number): void {
    this.#do(({ server, time }) => {
      this.#restoring();
      server.reachable = false;
      if (ms !== undefined) this.#restoring = time.timer(ms, () => this.restore());
      server.end();
    });
  }

  restore(): void {
    this.#do(({ server, page }) => {
      this.#restoring();
      server.reachable = true;
      page.tell("online");
    });
    this.advance(0); // the page dials when its other timers have had their turn
  }

  end(code: number): void {
    this.#do(({ server }) => server.end(code));
  }

  deny(topic: string, code: ErrorCode = ErrorCode.FORBIDDEN, message?: string): void {
    const said = message ?? `${topic} is refused by the test.`;
    this.#do(({ server }) => server.deny(topic, { code, message: said }));
  }

  allow(topic: string): void {
    this.#do(({ server }) => server.allow(topic));
  }

  gap(topic: string, reason: UnrecoveredReason = UnrecoveredReason.TRIMMED): void {
    this.#do(({ server }) => server.lose(topic, reason));
  }

  come(topic: string, user: string, state: Readonly<Record<string, unknown>> = {}): void {
    this.#do(({ server }) => server.rooms.come(topic, user, state));
  }

  go(topic: string, user: string): void {
    this.#do(({ server }) => server.rooms.go(topic, user));
  }

  warn(topic: string, message: string): void {
    this.#do(({ server }) => server.warn(topic, message));
  }

  advance(ms: number): void {
    this.#world.time.advance(ms);
  }

  settle(): void {
    this.#world.time.settle();
  }

  cursor(topic: string): string {
    return this.#world.server.cursor(topic);
  }

  get topics(): readonly string[] {
    this.settle();
    return [...this.#world.server.held].sort();
  }

  get frames(): readonly TestFrame[] {
    this.settle();
    return [...this.#world.server.frames];
  }

  /** What was under way comes first, what follows comes before this returns. */
  #do<R>(what: (world: World) => R): R {
    this.settle();
    const result = what(this.#world);
    this.settle();
    return result;
  }
}

function clientOptions(options: TestLiveOptions, reports: TidingsError[]): ConnectOptions {
  const { user: _, onError, ...rest } = options;
  return {
    ...rest,
    transports: ["websocket"], // the only one that there is a fake of
    timing: { wakeMs: 0, ...rest.timing },
    onError(error) {
      reports.push(error);
      onError?.(error);
    },
  };
}

function environmentOf(
  { time, server, page }: World,
  fetch?: typeof globalThis.fetch,
): Environment {
  let numbers = 0;
  return {
    ...browserEnvironment({
      WebSocket: class extends FakeSocket {
        constructor(_url: string) {
          super(server);
        }
      },
      ...(fetch === undefined ? {} : { fetch }),
    }),
    now: () => time.now(),
    random: () => 0.5,
    randomHex(bytes) {
      numbers += 1;
      return numbers.toString(16).padStart(bytes * 2, "0");
    },
    timer: (ms, run) => time.timer(ms, run),
    microtask: (run) => time.microtask(run),
    base:
      typeof location !== "undefined" && /^http/.test(location.href)
        ? location.href
        : "http://localhost/",
    inert: false,
    page: () => ({ hidden: false, prerendering: false }),
    recall: () => null,
    remember: () => {},
    watchPage: (tell) => page.watch(tell),
  };
}

function entityOf(payload: unknown): string {
  const id = typeof payload === "object" && payload !== null && "id" in payload ? payload.id : null;
  return typeof id === "string" || typeof id === "number" ? String(id) : "entity";
}
