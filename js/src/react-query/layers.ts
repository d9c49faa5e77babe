/**
 * Changes of this page that the server has not told of yet.
 *
 * They are not written into the cache, which holds the server's truth, but laid over it when it is read. So a
 * refused change is undone by taking its layer away, and an event or a response in between overwrites nothing.
 */

import { notifyManager, type QueryClient } from "@tanstack/react-query";

export interface Layer {
  readonly traceId: string;
  readonly change: (data: unknown) => unknown;
  /** When it was known to have succeeded, in ticks; a fetch that began later holds it. Null while it is under way. */
  settledAt: number | null;
}

let ticks = 0;

/** A moment: later ones are greater, and no two are the same (as those of a clock may be). */
export function tick(): number {
  ticks += 1;
  return ticks;
}

/** The layers over one query. */
export class Layers {
  #all: readonly Layer[] = [];
  readonly #listeners = new Set<() => void>();

  readonly get = (): readonly Layer[] => this.#all;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  add(layer: Layer): void {
    this.#set([...this.#all, layer]);
  }

  remove(isOver: (layer: Layer) => boolean): void {
    const kept = this.#all.filter((layer) => !isOver(layer));
    if (kept.length < this.#all.length) this.#set(kept);
  }

  /** Told together with a change of the cache that is made in the same batch: one render shows both. */
  #set(all: readonly Layer[]): void {
    this.#all = all;
    notifyManager.batch(() => {
      for (const listener of this.#listeners) notifyManager.schedule(listener);
    });
  }
}

/** The data with all layers over it. */
export function withLayers<T>(data: T, layers: readonly Layer[]): T {
  return layers.reduce<unknown>((result, { change }) => change(result), data) as T;
}

const ALL = new WeakMap<QueryClient, Map<string, Layers>>();

/** The layers over the query of that hash; there is one such object for as long as the client lives. */
export function layersOf(client: QueryClient, hash: string): Layers {
  const ofClient = ALL.get(client) ?? new Map<string, Layers>();
  ALL.set(client, ofClient);
  const layers = ofClient.get(hash) ?? new Layers();
  ofClient.set(hash, layers);
  return layers;
}
