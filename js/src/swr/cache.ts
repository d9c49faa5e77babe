/** SWR's cache as the floor below sees one. */

import type { Cache, Key, ScopedMutator, State } from "swr";
import type { Live } from "../core/types.js";
import type { Target } from "../sync/change.js";
import { type CursorsByTopic, type Host, PAGE_ATTENTION, PLAIN_SCHEDULER } from "../sync/host.js";
import { type Registry, registryOf } from "../sync/registry.js";
import { followedRun } from "../sync/run.js";

/** The cache of a provider and the function that writes to it, as `useSWRConfig` gives them. */
export interface SWRCache {
  readonly cache: Cache<unknown>;
  readonly mutate: ScopedMutator;
}

/** What a fetcher gets beside its key. Responses of this `fetch` say where they stand. */
export interface FetcherTools {
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
}

/** What is known of one key beside its data. */
interface Slot {
  positions: CursorsByTopic | null;
  /** The data as it was last seen to be the server's. */
  truth: unknown;
  /** Written by an event while a fetch runs: SWR then throws the response away. */
  isWritten: boolean;
  latest: Promise<unknown> | null;
  hasSucceeded: boolean;
  readonly listeners: Set<() => void>;
}

const SLOTS = new WeakMap<object, Map<string, Slot>>();

export function registryOfCache({ cache }: SWRCache): Registry {
  return registryOf(cache, PLAIN_SCHEDULER);
}

function slotOf({ cache }: SWRCache, name: string): Slot {
  const slots = SLOTS.get(cache) ?? new Map<string, Slot>();
  SLOTS.set(cache, slots);
  const slot = slots.get(name) ?? {
    positions: null,
    truth: undefined,
    isWritten: false,
    latest: null,
    hasSucceeded: true,
    listeners: new Set(),
  };
  slots.set(name, slot);
  return slot;
}

function dataOf({ cache }: SWRCache, name: string): unknown {
  return (cache.get(name) as State<unknown> | undefined)?.data;
}

/** Whether it is known where the data of the key is: then what came after it will be told. */
export function isKnown(swr: SWRCache, name: string): boolean {
  return slotOf(swr, name).positions !== null;
}

/** One key; `name` is the key as text. */
export function swrHost(swr: SWRCache, key: Key, name: string): Host {
  const slot = slotOf(swr, name);
  return {
    ...PAGE_ATTENTION,
    read: () => dataOf(swr, name),
    write: (data) => write(swr, slot, key, data),
    async refetch() {
      await slot.latest?.catch(() => {});
      await swr.mutate(key);
      return slot.hasSucceeded;
    },
    // Without a position it is fetched when the next component uses it, or the page is looked at again.
    invalidate: () => {
      slot.positions = null;
    },
    onResponse(listener) {
      slot.listeners.add(listener);
      return () => slot.listeners.delete(listener);
    },
    recall: () => slot.positions ?? undefined,
    remember: (positions) => {
      slot.positions = positions;
    },
  };
}

/** A key as what changes are laid over. */
export function swrTarget(swr: SWRCache, key: Key, name: string): Target {
  const registry = registryOfCache(swr);
  const { read, refetch } = swrHost(swr, key, name);
  return { layers: registry.layers(name), follower: () => registry.follower(name), read, refetch };
}

/** The application's fetcher, run for a key so that its response fits the stream. */
export async function fetchFollowed<T>(
  live: Live,
  swr: SWRCache,
  key: Key,
  name: string,
  fetcher: (tools: FetcherTools) => T | Promise<T>,
): Promise<T> {
  const slot = slotOf(swr, name);
  const { signal } = new AbortController();
  const tools: FetcherTools = {
    signal,
    fetch: (input, init) => live.fetch(input, { ...init, signal }),
  };
  slot.isWritten = false;
  slot.truth = dataOf(swr, name);
  const run = followedRun(
    registryOfCache(swr),
    name,
    async () => ({ data: await fetcher(tools), cursors: live.cursorsOf(signal) }),
    (cursors) => {
      slot.positions = cursors;
    },
  );
  slot.latest = run;
  try {
    const data = await run;
    slot.hasSucceeded = true;
    if (slot.latest === run) land(swr, slot, key, name, data);
    return data;
  } catch (error) {
    slot.hasSucceeded = false;
    throw error;
  } finally {
    if (slot.latest === run) slot.latest = null;
  }
}

/**
 * A response is here. SWR writes it a moment later; but where an event was written meanwhile it would throw it
 * away, and where a change of this page ends with it both must be seen at once: then it is written here.
 */
function land(swr: SWRCache, slot: Slot, key: Key, name: string, data: unknown): void {
  const registry = registryOfCache(swr);
  const follower = registry.follower(name);
  if (follower === undefined) return;
  if (dataOf(swr, name) !== slot.truth) {
    // The application has written something of its own, over which SWR will not write the response.
    follower.refetch();
    return;
  }
  if (slot.isWritten || registry.layers(name).get().length > 0) write(swr, slot, key, data);
  for (const listener of [...slot.listeners]) listener();
}

function write({ mutate }: SWRCache, slot: Slot, key: Key, data: unknown): void {
  slot.isWritten = true;
  slot.truth = data;
  void mutate(key, data, { revalidate: false });
}
