/** Does what the machine says: timers, sockets, credentials. What is for the application it hands on. */

import type { Environment, PageSignal } from "./environment.js";
import type { ClientFrame } from "./frames.js";
import type { Machine } from "./machine/machine.js";
import type { Effect, Input, RawFrame, TimerName } from "./machine/values.js";
import { type HttpDial, LOADERS, openLater } from "./transports/later.js";
import type { Link, LinkEvents } from "./transports/link.js";
import { openWebSocket, webSocketUrl } from "./transports/websocket.js";
import type { ConnectOptions } from "./types.js";

/** The effects that concern the application. */
export type Told = Extract<
  Effect,
  { effect: "status" | "topic" | "deliver" | "gap" | "settle" | "report" }
>;

type Dial = Extract<Effect, { effect: "dial" }>;
const NOTHING = { type: "subscribe", topics: [] } as const;

/** Under which name the browser's session remembers what carries events from that address. */
export function memoryKey(url: string): string {
  return `tidings.transport ${url}`;
}

/** By which an extension such as presence speaks on the living connection, and hears what comes. */
export interface Wire {
  /** The session of the last `welcome`; where that named none, as with polls, there is nobody to speak to. */
  session: unknown;
  /** Told each frame, after the machine. */
  heard: ((frame: RawFrame) => void) | null;
  hear(frame: RawFrame): void;
  send(frame: ClientFrame): void;
}

export function createWire(send: Wire["send"]): Wire {
  return {
    session: null,
    heard: null,
    hear(frame) {
      if (frame.type === "welcome") this.session = frame.session;
      this.heard?.(frame);
    },
    send,
  };
}

export interface DriverOptions {
  readonly url: string;
  readonly environment: Environment;
  readonly machine: Machine;
  /** The application's function of this moment; a reloaded module brings a new one. */
  readonly auth: () => ConnectOptions["auth"];
  readonly tell: (effect: Told) => void;
}

export class Driver {
  readonly #options: DriverOptions;
  readonly #timers = new Map<TimerName, () => void>();
  readonly #queue: Effect[] = [];
  /** By generation: the living connection, and at times one beside it. */
  readonly #links = new Map<number, Link>();
  readonly #asking = new Map<number, AbortController>();
  readonly #warned = new Set<string>();
  readonly wire: Wire = createWire((frame) =>
    this.#links.get(this.#options.machine.generation)?.send(frame),
  );
  #unwatch: (() => void) | null = null;
  #draining = false;

  constructor(options: DriverOptions) {
    this.#options = options;
  }

  get view(): Machine {
    return this.#options.machine;
  }

  /** Hand an input in, and do all that follows from it. */
  feed(input: Input): void {
    const { environment, machine } = this.#options;
    if (environment.inert) return;
    if (this.#unwatch === null) this.#watch();
    this.#queue.push(...machine.handle(input, environment.now(), environment.random()));
    // An input that comes while effects are being done has its own done after them, in order.
    if (this.#draining) return;
    this.#draining = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        this.#perform(next);
      }
    } finally {
      this.#draining = false;
    }
  }

  /** From the first use to the end the page's state is known; what it was before that may have changed. */
  #watch(): void {
    const { environment } = this.#options;
    const tell = (signal: PageSignal): void => this.feed({ input: signal });
    this.#unwatch = () => {}; // so that what is told now begins no other watch
    const { hidden, prerendering, slow } = environment.page();
    tell(hidden ? "hidden" : "visible");
    if (!prerendering) tell("activated");
    tell(slow ? "slow_network" : "fast_network");
    this.#unwatch = environment.watchPage(tell);
  }

  /** After the input `close`: listen to nothing any more. */
  end(): void {
    this.#unwatch?.();
    this.#unwatch = () => {};
  }

  #perform(effect: Effect): void {
    const { environment, tell } = this.#options;
    switch (effect.effect) {
      case "auth":
        this.#ask(effect.generation, effect.force);
        break;
      case "dial":
        this.#dial(effect);
        break;
      case "drop":
        this.#asking.get(effect.generation)?.abort();
        this.#asking.delete(effect.generation);
        this.#links.get(effect.generation)?.drop(effect.code);
        this.#links.delete(effect.generation);
        break;
      case "send":
        this.#links.get(effect.generation ?? this.#options.machine.generation)?.send(effect.frame);
        break;
      case "remember":
        environment.remember(memoryKey(this.#options.url), effect.transport);
        break;
      case "timer":
        this.#arm(effect.name, effect.ms);
        break;
      case "cancel":
        this.#timers.get(effect.name)?.();
        this.#timers.delete(effect.name);
        break;
      case "flush":
        environment.microtask(() => this.feed({ input: "flush" }));
        break;
      default:
        tell(effect);
    }
  }

  #ask(generation: number, force: boolean): void {
    const controller = new AbortController();
    this.#asking.set(generation, controller);
    const auth = this.#options.auth();
    const asked = Promise.resolve().then(() => auth?.({ force, signal: controller.signal }));
    asked.then(
      (given) => {
        this.#asking.delete(generation);
        const token = typeof given === "string" ? given : null;
        this.feed({ input: "token", generation, token });
      },
      () => {
        this.#asking.delete(generation);
        this.feed({ input: "auth_failed", generation });
      },
    );
  }

  #dial({ generation, transport, token, subscribe }: Dial): void {
    const { environment, url } = this.#options;
    const events: LinkEvents = {
      open: () => this.feed({ input: "open", generation }),
      frame: (frame) => {
        this.feed({ input: "frame", generation, frame });
        // A dial that is not the current one, or not any more, is nobody else's matter.
        if (frame !== null && generation === this.#options.machine.generation)
          this.wire.hear(frame);
      },
      warn: (code, message) => {
        if (this.#warned.has(code)) return;
        this.#warned.add(code);
        this.#options.tell({ effect: "report", level: "warn", code, message });
      },
      lost: (code) => {
        this.#links.delete(generation);
        this.feed({ input: "lost", generation, code });
      },
    };
    const begin: HttpDial = { environment, url, token, subscribe: subscribe ?? NOTHING };
    const link =
      transport === "websocket"
        ? openWebSocket(environment.WebSocket, () => webSocketUrl(url, environment.base), events)
        : openLater(LOADERS[transport], begin, events);
    this.#links.set(generation, link);
  }

  #arm(name: TimerName, ms: number): void {
    this.#timers.get(name)?.();
    const stop = this.#options.environment.timer(ms, () => {
      this.#timers.delete(name);
      this.feed({ input: "timer", name });
    });
    this.#timers.set(name, stop);
  }
}
