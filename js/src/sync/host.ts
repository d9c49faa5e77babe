/** What a cache does for the parts of this folder: they know no framework. */

/** Cursors by topic: where the data is. */
export type CursorsByTopic = Readonly<Record<string, string>>;

/** How a cache tells its readers, so that several changes are one render. */
export interface Scheduler {
  /** All that is written and told in the run is shown together. */
  batch(run: () => void): void;
  /** Call a listener, with the others of the batch. */
  tell(listener: () => void): void;
}

/** Whether somebody looks at the page: fetching for nobody can wait. */
export interface Attention {
  isActive(): boolean;
  /** Told when that changes, until the returned function is called. */
  onActive(listener: (active: boolean) => void): () => void;
}

/** One piece of data in a cache. */
export interface Host extends Attention {
  /** The data as the server gave it, without what is laid over it; undefined before the first response. */
  read(): unknown;
  write(data: unknown): void;
  /** Fetch anew, after a fetch that may be running (it may have read too early). Whether it succeeded. */
  refetch(): Promise<boolean>;
  /** The data is old: it is to be fetched when it is next looked at. */
  invalidate(): void;
  /** Told when a response has been written, in the same batch; until the returned function is called. */
  onResponse(listener: () => void): () => void;
  /** Where the data is, as it was remembered beside it; undefined where that is not known. */
  recall(): CursorsByTopic | undefined;
  /** Null: where the data is, is not known any more. */
  remember(positions: CursorsByTopic | null): void;
}

/** A page without a cache that knows better. */
export const PAGE_ATTENTION: Attention = {
  isActive: () => typeof document === "undefined" || document.visibilityState !== "hidden",
  onActive(listener) {
    if (typeof document === "undefined") return () => {};
    const told = (): void => listener(PAGE_ATTENTION.isActive());
    document.addEventListener("visibilitychange", told);
    return () => document.removeEventListener("visibilitychange", told);
  },
};

/** For caches whose readers are told one by one. */
export const PLAIN_SCHEDULER: Scheduler = {
  batch: (run) => run(),
  tell: (listener) => listener(),
};
