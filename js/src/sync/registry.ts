/** What belongs to the pieces of data of one cache: one follower each, and the changes that are laid over it. */

import type { Follower } from "./follower.js";
import type { Scheduler } from "./host.js";
import { Layers } from "./layers.js";

interface Entry {
  readonly follower: Follower;
  uses: number;
}

/** By a name that tells the cache's pieces apart, such as the hash of a key. */
export class Registry {
  readonly scheduler: Scheduler;
  readonly #layers = new Map<string, Layers>();
  readonly #followers = new Map<string, Entry>();

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  /** What is laid over the data of that name: the same object for as long as the cache lives. */
  layers(name: string): Layers {
    const layers = this.#layers.get(name) ?? new Layers(this.scheduler);
    this.#layers.set(name, layers);
    return layers;
  }

  /** The follower of data that is followed now. */
  follower(name: string): Follower | undefined {
    return this.#followers.get(name)?.follower;
  }

  /**
   * Use the follower of that name until the returned function is called; the last use ends it. There is one,
   * however many components use it: an event must be applied once.
   */
  hold(name: string, make: () => Follower): { follower: Follower; release: () => void } {
    const entry = this.#followers.get(name) ?? { follower: make(), uses: 0 };
    this.#followers.set(name, entry);
    entry.uses += 1;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      entry.uses -= 1;
      if (entry.uses > 0) return;
      this.#followers.delete(name);
      entry.follower.stop();
    };
    return { follower: entry.follower, release };
  }
}

const ALL = new WeakMap<object, Registry>();

/** The registry of a cache; made with the scheduler when it is first asked for. */
export function registryOf(cache: object, scheduler: Scheduler): Registry {
  const known = ALL.get(cache);
  if (known !== undefined) return known;
  const made = new Registry(scheduler);
  ALL.set(cache, made);
  return made;
}
