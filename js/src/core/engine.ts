/** What works beneath a client: a connection of its own, or the one that all tabs share. */

import { createWire, Driver, type DriverOptions, type Wire } from "./driver.js";
import { Machine, type TopicSnapshot } from "./machine/machine.js";
import type { Input, MachineOptions } from "./machine/values.js";

export interface Engine {
  /** Hand an input in, and do all that follows from it. */
  feed(input: Input): void;
  /** After the input `close`: listen to nothing any more. */
  end(): void;
  readonly view: View;
  readonly wire: Wire;
}

/** What can be asked of an engine at any time. */
export interface View {
  readonly generation: number;
  topic(name: string): TopicSnapshot | null;
  topics(): Record<string, TopicSnapshot>;
}

export interface EngineOptions extends Omit<DriverOptions, "machine"> {
  readonly settings: Partial<MachineOptions>;
}

/** With `share`, the connection of all tabs, where the browser has what that needs. */
export function openEngine(options: EngineOptions, share: boolean): Engine {
  const canShare = typeof BroadcastChannel !== "undefined" && globalThis.navigator?.locks;
  return share && canShare && !options.environment.inert ? new Later(options) : alone(options);
}

function alone({ settings, ...rest }: EngineOptions): Engine {
  return new Driver({ ...rest, machine: new Machine(settings) });
}

const NOTHING: View = { generation: 0, topic: () => null, topics: () => ({}) };

/** Sharing is a chunk of its own, fetched with the first use; what is asked meanwhile waits. */
class Later implements Engine {
  readonly #options: EngineOptions;
  #waiting: Input[] | null = null;
  #engine: Engine | null = null;
  readonly wire: Wire = createWire((frame) => this.#engine?.wire.send(frame));

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  feed(input: Input): void {
    if (this.#engine !== null) this.#engine.feed(input);
    else if (this.#waiting !== null) this.#waiting.push(input);
    else {
      this.#waiting = [input];
      const options = this.#options;
      import("./tabs/shared.js").then(
        ({ openShared }) => this.#begin(openShared(options)),
        () => this.#begin(alone(options)), // code that cannot be had: a connection of its own
      );
    }
  }

  end(): void {
    this.#engine?.end();
  }

  get view(): View {
    return this.#engine?.view ?? NOTHING;
  }

  #begin(engine: Engine): void {
    this.#engine = engine;
    engine.wire.heard = (frame) => this.wire.hear(frame);
    for (const input of this.#waiting ?? []) {
      engine.feed(input);
      if (input.input === "close") engine.end();
    }
  }
}
