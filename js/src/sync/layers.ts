/**
 * Changes of this page that the server has not told of yet.
 *
 * They are not written into the cache, which holds the server's truth, but laid over it when it is read. So a
 * refused change is undone by taking its layer away, and an event or a response in between overwrites nothing.
 */

import type { Scheduler } from "./host.js";

export interface Layer {
  readonly traceId: string;
  readonly change: (data: unknown) => unknown;
  /** When it was known to have succeeded, in ticks; a fetch that began later holds it. Null while it is under way. */
  settledAt: number | null;
  /** Another change of this page has become part of the data: as it was before, and as it is after. */
  readonly moved?: (before: unknown, after: unknown) => void;
  /** The server has made another revision of something, by a change of this page. */
  readonly succeeded?: (from: string, to: string) => void;
}

let ticks = 0;

/** A moment: later ones are greater, and no two are the same (as those of a clock may be). */
export function tick(): number {
  ticks += 1;
  return ticks;
}

/** The layers over one piece of data. */
export class Layers {
  #all: readonly Layer[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  readonly get = (): readonly Layer[] => this.#all;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** What is written, laid and taken away in the run is shown together. */
  batch(run: () => void): void {
    this.#scheduler.batch(run);
  }

  add(layer: Layer): void {
    this.#set([...this.#all, layer]);
  }

  remove(isOver: (layer: Layer) => boolean): void {
    const kept = this.#all.filter((layer) => !isOver(layer));
    if (kept.length < this.#all.length) this.#set(kept);
  }

  /** Whether there is one of that trace. */
  has(traceId: string | undefined): boolean {
    return traceId !== undefined && this.#all.some((layer) => layer.traceId === traceId);
  }

  /** The server has told of the change: any fetch from now on holds it. */
  settle(traceId: string | undefined): void {
    for (const layer of this.#all) {
      if (layer.traceId === traceId) layer.settledAt ??= tick();
    }
  }

  /** The change has become part of the data, which went from `before` to `after` by it. */
  end(traceId: string | undefined, before: unknown, after: unknown): void {
    if (!this.has(traceId)) return;
    this.remove((layer) => layer.traceId === traceId);
    if (before !== after) for (const layer of this.#all) layer.moved?.(before, after);
  }

  /** A change has succeeded, and its answer says which revision it has made of which. */
  succeeded(from: string, to: string): void {
    for (const layer of this.#all) layer.succeeded?.(from, to);
  }

  /** A response has been written that was asked for at that tick. */
  endSettledBefore(asked: number): void {
    this.remove(({ settledAt }) => settledAt !== null && settledAt < asked);
  }

  /** Show them anew: what one of them does has changed. */
  renew(): void {
    this.#set([...this.#all]);
  }

  /** Told together with a change of the cache that is made in the same batch: one render shows both. */
  #set(all: readonly Layer[]): void {
    this.#all = all;
    this.#scheduler.batch(() => {
      for (const listener of [...this.#listeners]) this.#scheduler.tell(listener);
    });
  }
}

/** The data with all layers over it. */
export function withLayers<T>(data: T, layers: readonly Layer[]): T {
  return layers.reduce<unknown>((result, { change }) => change(result), data) as T;
}
