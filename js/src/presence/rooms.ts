/** Does what the presence machine says, for one client: frames, a timer, and the news to those who look. */

import type { Live } from "../core/types.js";
import { PresenceMachine } from "./machine.js";
import type { Effect, Input, RoomView, State } from "./values.js";

type Listener = () => void;

interface Watch {
  handles: number;
  readonly listeners: Set<Listener>;
  /** Presence is of a topic that is subscribed to. */
  readonly unsubscribe: () => void;
}

const ROOMS = new WeakMap<Live, Rooms>();

/** The rooms of a client: however often a topic is entered, it is one. */
export function roomsOf(live: Live): Rooms {
  const known = ROOMS.get(live);
  if (known !== undefined) return known;
  const made = new Rooms(live);
  ROOMS.set(live, made);
  return made;
}

export class Rooms {
  readonly #live: Live;
  readonly #machine = new PresenceMachine();
  readonly #watches = new Map<string, Watch>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #offStatus: (() => void) | null = null;

  constructor(live: Live) {
    this.#live = live;
  }

  get session(): string | null {
    return this.#machine.session;
  }

  view(topic: string): RoomView | null {
    return this.#machine.view(topic);
  }

  enter(topic: string, state: State | undefined, listener: Listener): void {
    this.#begin();
    const known = this.#watches.get(topic);
    const watch: Watch = known ?? {
      handles: 0,
      listeners: new Set(),
      unsubscribe: this.#live.subscribe(topic, () => {}),
    };
    this.#watches.set(topic, watch);
    watch.handles += 1;
    watch.listeners.add(listener);
    this.#feed({ input: "enter", topic, ...(state === undefined ? {} : { state }) });
  }

  update(topic: string, state: State): void {
    this.#feed({ input: "update", topic, state });
  }

  leave(topic: string, listener: Listener): void {
    const watch = this.#watches.get(topic);
    if (watch === undefined || !watch.listeners.delete(listener)) return;
    watch.handles -= 1;
    if (watch.handles > 0) return;
    this.#watches.delete(topic);
    this.#feed({ input: "leave", topic });
    watch.unsubscribe();
  }

  #begin(): void {
    if (this.#offStatus !== null) return;
    const { wire } = this.#live;
    if (wire === undefined) {
      // A client without a wire, such as one that a test has made by hand, has nobody to speak to.
      this.#offStatus = () => {};
      this.#feed({ input: "connected", session: null });
      return;
    }
    wire.heard = (frame) => {
      if (frame.type !== "welcome") this.#feed({ input: "frame", frame });
      else if (frame.session !== this.#machine.session || this.#machine.session === null)
        this.#connected(frame.session);
    };
    this.#offStatus = this.#live.onStatus(({ state }) => {
      if (state !== "live") this.#feed({ input: "lost" });
    });
    if (this.#live.status.state === "live") this.#connected(wire.session);
  }

  #connected(session: unknown): void {
    this.#feed({ input: "connected", session: typeof session === "string" ? session : null });
  }

  #feed(input: Input): void {
    for (const effect of this.#machine.handle(input, Date.now())) this.#perform(effect);
  }

  #perform(effect: Effect): void {
    switch (effect.effect) {
      case "send":
        this.#live.wire?.send(effect.frame);
        break;
      case "flush":
        queueMicrotask(() => this.#feed({ input: "flush" }));
        break;
      case "timer":
        if (this.#timer !== null) clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#feed({ input: "timer" }), effect.ms);
        break;
      case "changed":
        for (const listener of [...(this.#watches.get(effect.topic)?.listeners ?? [])]) listener();
    }
  }
}
