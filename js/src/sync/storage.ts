/** Where changes wait that could not be sent yet, so that they survive a reload of the page. */

/** A change that waits, as plain values. */
export interface StoredChange {
  /** In the order in which they were made, as text. */
  readonly id: string;
  /** What kind of change it is. */
  readonly name: string;
  readonly variables: unknown;
  /** The page that sends it. */
  readonly owner: string;
  /** When it was made, in milliseconds. */
  readonly madeAt: number;
  readonly traceId: string;
  readonly traceparent: string;
  readonly idempotencyKey: string;
  readonly ifMatch: string | null;
}

/** Each change is kept by itself, so that several tabs do not overwrite one another. */
export interface ChangeStorage {
  all(): Promise<readonly StoredChange[]>;
  put(change: StoredChange): Promise<void>;
  delete(id: string): Promise<void>;
}

const PREFIX = "tidings.changes";

/** In `localStorage`: 5 MB at most, for all of the origin. Variables must be JSON. */
export function localStorageChanges(name: string): ChangeStorage {
  const prefix = `${PREFIX}.${name}.`;
  return {
    async all() {
      const names = Array.from({ length: localStorage.length }, (_, n) => localStorage.key(n));
      return names.flatMap((key) => {
        const text = key?.startsWith(prefix) === true ? localStorage.getItem(key) : null;
        const change = text === null ? null : parse(text);
        return change === null ? [] : [change];
      });
    },
    async put(change) {
      localStorage.setItem(prefix + change.id, JSON.stringify(change));
    },
    async delete(id) {
      localStorage.removeItem(prefix + id);
    },
  };
}

/** In IndexedDB: for many changes, or variables that JSON does not hold (files, dates). */
export function indexedDbChanges(name: string): ChangeStorage {
  let opened: Promise<IDBDatabase> | null = null;
  const run = async <T>(
    mode: IDBTransactionMode,
    ask: (store: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T> => {
    opened ??= open(`${PREFIX}.${name}`);
    const store = (await opened).transaction(PREFIX, mode).objectStore(PREFIX);
    return settled(ask(store));
  };
  return {
    all: () => run<StoredChange[]>("readonly", (store) => store.getAll()),
    async put(change) {
      await run("readwrite", (store) => store.put(change));
    },
    async delete(id) {
      await run("readwrite", (store) => store.delete(id));
    },
  };
}

/** Nowhere: for pages without storage, and for tests. */
export function memoryChanges(): ChangeStorage {
  const changes = new Map<string, StoredChange>();
  return {
    all: async () => [...changes.values()],
    async put(change) {
      changes.set(change.id, change);
    },
    async delete(id) {
      changes.delete(id);
    },
  };
}

function open(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(PREFIX, { keyPath: "id" });
  return settled(request);
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB refused"));
  });
}

/** What another version of the page has written may be anything. */
function parse(text: string): StoredChange | null {
  try {
    const value = JSON.parse(text) as StoredChange;
    return typeof value.id === "string" && typeof value.name === "string" ? value : null;
  } catch {
    return null;
  }
}
