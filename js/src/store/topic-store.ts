/**
 * Data that is kept in step with its topics, for stores of one's own and for none: `subscribe` and `getSnapshot`
 * are what `useSyncExternalStore`, Redux, Zustand, Pinia, Lit and plain pages can read.
 */

import type { Live } from "../core/types.js";
import { Change, type ChangeOptions, type Target } from "../sync/change.js";
import { SPREAD_MS } from "../sync/coalesce.js";
import type { FollowOptions } from "../sync/follow-options.js";
import { Follower } from "../sync/follower.js";
import { type CursorsByTopic, type Host, PAGE_ATTENTION } from "../sync/host.js";
import { withLayers } from "../sync/layers.js";
import { Registry } from "../sync/registry.js";
import { rulesOf } from "../sync/rules.js";
import { followedRun } from "../sync/run.js";
import { topicsOf } from "../sync/topics.js";

export interface TopicStoreOptions<T> extends FollowOptions<T> {
  /** Reads the data. Responses of this `fetch` say where they stand, and those of `live.fetch` with this signal. */
  load: (tools: { fetch: typeof fetch; signal: AbortSignal }) => Promise<T>;
  /** Data that is there already, such as from a rendering server, with the cursors of its response. */
  initial?: { readonly data: T; readonly cursors?: CursorsByTopic };
}

/** Frozen, and the same object until it changes. */
export interface TopicSnapshot<T> {
  /** With the changes of this page that have no answer yet; undefined before the first response. */
  readonly data: T | undefined;
  /** Of the last fetch; null where it has succeeded. */
  readonly error: unknown;
  readonly isFetching: boolean;
  /** Whether events arrive. */
  readonly isLive: boolean;
}

export interface TopicStore<T> {
  getSnapshot(): TopicSnapshot<T>;
  /** The first subscriber starts it, the last one ends it; what is here stays, and goes on from where it is. */
  subscribe(listener: () => void): () => void;
  refetch(): Promise<void>;
  /** A change of this page, seen at once and undone where it is refused. Rejects with what `send` throws. */
  change<R, V>(variables: V, options: ChangeOptions<R, V, T>): Promise<R>;
  /** For a `ChangeQueue`. */
  readonly target: Target;
}

/** Makes one; nothing is fetched or followed before somebody subscribes. */
export function createTopicStore<T>(live: Live, options: TopicStoreOptions<T>): TopicStore<T> {
  const store = new Store(live, options);
  return {
    getSnapshot: store.getSnapshot,
    subscribe: store.subscribe,
    refetch: () => store.refetch(),
    change: (variables, how) => store.change(variables, how),
    target: store.target,
  };
}

const NAME = "data";

class Store<T> {
  readonly #live: Live;
  readonly #options: TopicStoreOptions<T>;
  readonly #registry: Registry;
  readonly #host: Host;
  readonly #listeners = new Set<() => void>();
  readonly #responded = new Set<() => void>();
  #data: T | undefined;
  #error: unknown = null;
  #positions: CursorsByTopic | null;
  #latest: Promise<T> | null = null;
  #stop: (() => void) | null = null;
  #snapshot: TopicSnapshot<T> | null = null;
  #batches = 0;
  #isTelling = false;

  constructor(live: Live, options: TopicStoreOptions<T>) {
    this.#live = live;
    this.#options = options;
    this.#data = options.initial?.data;
    this.#positions = options.initial?.cursors ?? null;
    this.#registry = new Registry({
      batch: (run) => this.#batch(run),
      tell: (listener) => listener(),
    });
    this.#host = {
      ...PAGE_ATTENTION,
      read: () => this.#data,
      write: (data) => this.#write(data as T),
      refetch: () => this.#refetch(),
      // Fetched when somebody subscribes anew.
      invalidate: () => {
        this.#positions = null;
      },
      onResponse: (listener) => {
        this.#responded.add(listener);
        return () => this.#responded.delete(listener);
      },
      recall: () => this.#positions ?? undefined,
      remember: (positions) => {
        this.#positions = positions;
      },
    };
    this.#layers.subscribe(() => this.#changed());
  }

  get #layers(): Target["layers"] {
    return this.#registry.layers(NAME);
  }

  get #follower(): Follower | undefined {
    return this.#registry.follower(NAME);
  }

  get target(): Target {
    return {
      layers: this.#layers,
      follower: () => this.#follower,
      read: this.#host.read,
      refetch: this.#host.refetch,
    };
  }

  readonly getSnapshot = (): TopicSnapshot<T> => {
    this.#snapshot ??= Object.freeze({
      data: this.#data === undefined ? undefined : withLayers(this.#data, this.#layers.get()),
      error: this.#error,
      isFetching: this.#latest !== null,
      isLive: this.#follower?.liveness.state.live === true,
    });
    return this.#snapshot;
  };

  readonly subscribe = (listener: () => void): (() => void) => {
    const own = (): void => listener();
    this.#listeners.add(own);
    if (this.#stop === null) this.#start();
    return () => {
      if (!this.#listeners.delete(own) || this.#listeners.size > 0) return;
      this.#stop?.();
      this.#stop = null;
    };
  };

  async refetch(): Promise<void> {
    await this.#refetch();
  }

  async change<R, V>(variables: V, options: ChangeOptions<R, V, T>): Promise<R> {
    const change = new Change(this.#live, this.target, variables, () => options);
    try {
      return (await change.send()).result;
    } catch (error) {
      change.undo();
      throw error;
    }
  }

  #start(): void {
    const { sync, apply, spreadMs = SPREAD_MS } = this.#options;
    const isFollowed = this.#topics().length > 0;
    const isKnown = isFollowed && this.#positions !== null;
    const rules = rulesOf(sync, apply);
    const { follower, release } = this.#registry.hold(
      NAME,
      () =>
        new Follower({
          live: this.#live,
          host: this.#host,
          layers: this.#layers,
          rules: () => rules,
          spreadMs,
        }),
    );
    const unlisten = follower.liveness.listen(() => this.#changed());
    this.#stop = () => {
      unlisten();
      release();
      this.#changed();
    };
    follower.follow(this.#topics());
    if (this.#latest === null && (this.#data === undefined || !isKnown)) void this.#fetch();
  }

  #topics(): readonly string[] {
    const { topics, live = true } = this.#options;
    return live ? topicsOf(topics, this.#data) : [];
  }

  /** After the fetch that may be running, which may have read too early. */
  async #refetch(): Promise<boolean> {
    await this.#latest?.catch(() => {});
    return this.#fetch();
  }

  /** Whether it succeeded. */
  async #fetch(): Promise<boolean> {
    const { signal } = new AbortController();
    const fetch: typeof globalThis.fetch = (input, init) =>
      this.#live.fetch(input, { ...init, signal });
    const run = followedRun(
      this.#registry,
      NAME,
      async () => ({
        data: await this.#options.load({ fetch, signal }),
        cursors: this.#live.cursorsOf(signal),
      }),
      (cursors) => {
        this.#positions = cursors;
      },
    );
    this.#latest = run;
    this.#changed();
    try {
      const data = await run;
      if (this.#latest === run) this.#land(data);
      return true;
    } catch (error) {
      if (this.#latest !== run) return false;
      this.#latest = null;
      this.#error = error;
      this.#changed();
      return false;
    }
  }

  #land(data: T): void {
    this.#batch(() => {
      this.#latest = null;
      this.#error = null;
      this.#write(data);
      for (const listener of [...this.#responded]) listener();
    });
  }

  #write(data: T): void {
    this.#data = data;
    // What it follows may stand in the data.
    if (typeof this.#options.topics === "function") this.#follower?.follow(this.#topics());
    this.#changed();
  }

  #batch(run: () => void): void {
    this.#batches += 1;
    try {
      run();
    } finally {
      this.#batches -= 1;
      if (this.#batches === 0 && this.#isTelling) this.#tell();
    }
  }

  #changed(): void {
    this.#snapshot = null;
    if (this.#batches > 0) this.#isTelling = true;
    else this.#tell();
  }

  #tell(): void {
    this.#isTelling = false;
    for (const listener of [...this.#listeners]) listener();
  }
}
