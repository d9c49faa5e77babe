/** Does what the machine says: timers, sockets, credentials. What is for the application it hands on. */

import type { Environment } from "./environment.js";
import type { Machine } from "./machine/machine.js";
import type { Effect, Input, TimerName } from "./machine/values.js";
import type { Link } from "./transports/link.js";
import { openWebSocket, webSocketUrl } from "./transports/websocket.js";
import type { ConnectOptions } from "./types.js";

/** The effects that concern the application. */
export type Told = Extract<
  Effect,
  { effect: "status" | "topic" | "deliver" | "gap" | "settle" | "report" }
>;

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
  #link: Link | null = null;
  #asking: AbortController | null = null;
  #unwatch: (() => void) | null = null;
  #draining = false;

  constructor(options: DriverOptions) {
    this.#options = options;
  }

  /** Hand an input in, and do all that follows from it. */
  feed(input: Input): void {
    const { environment, machine } = this.#options;
    if (environment.inert) return;
    // From the first use to the end, so that the page's state is always known.
    this.#unwatch ??= environment.watchPage((signal) => this.feed({ input: signal }));
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
        this.#dial(effect.generation);
        break;
      case "drop":
        this.#asking?.abort();
        this.#link?.drop(effect.code);
        this.#link = null;
        break;
      case "send":
        this.#link?.send(effect.frame);
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
    this.#asking = controller;
    const auth = this.#options.auth();
    const asked = Promise.resolve().then(() => auth?.({ force, signal: controller.signal }));
    asked.then(
      (given) => {
        const token = typeof given === "string" ? given : null;
        this.feed({ input: "token", generation, token });
      },
      () => this.feed({ input: "auth_failed", generation }),
    );
  }

  #dial(generation: number): void {
    const { environment, url } = this.#options;
    const address = (): string => webSocketUrl(url, environment.base);
    this.#link = openWebSocket(environment.WebSocket, address, {
      open: () => this.feed({ input: "open", generation }),
      frame: (frame) => this.feed({ input: "frame", generation, frame }),
      lost: (code) => this.feed({ input: "lost", generation, code }),
    });
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
