/**
 * Changes that are made whether or not the server can be reached (rule R15): shown at once, kept over a reload,
 * sent one after the other in their order, each made once, and a refused one undone and told.
 */

import type { Live } from "../core/types.js";
import { Change, type ChangeOptions, type Target } from "./change.js";
import { type ChangeStorage, localStorageChanges, type StoredChange } from "./storage.js";
import { alone, Page, pagesAlive } from "./tabs.js";

/** A change that has no answer yet; frozen. */
export interface WaitingChange {
  readonly id: string;
  readonly name: string;
  readonly variables: unknown;
  readonly state: "waiting" | "sending";
  /** When it was made, in milliseconds. */
  readonly madeAt: number;
}

/** A change that the server did not take. It is not on the screen any more. */
export interface RefusedChange extends WaitingChange {
  readonly error: unknown;
}

export interface ChangeQueueOptions {
  readonly live: Live;
  /** Whose changes they are, such as a user's id: what one left behind is not sent as another. */
  readonly name: string;
  /** `localStorage` where absent. */
  readonly storage?: ChangeStorage;
  readonly onRefused?: (refused: RefusedChange) => void;
  /** Whether an error of an HTTP library says that there was no answer; those of `tools.fetch` are known. */
  readonly isUnreachable?: (error: unknown) => boolean;
}

/** What a kind of change does. It stands outside of components, and the variables say everything. */
export interface ChangeDefinition<TResult, TVariables, TData>
  extends ChangeOptions<TResult, TVariables, TData> {
  readonly target: (variables: TVariables) => Target;
}

interface Entry {
  stored: StoredChange;
  state: WaitingChange["state"];
  change: Change | null;
  settle: { resolve: (result: never) => void; reject: (error: unknown) => void } | null;
}

type AnyDefinition = ChangeDefinition<unknown, unknown, unknown>;

const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;

export class ChangeQueue {
  readonly #options: ChangeQueueOptions;
  readonly #storage: ChangeStorage;
  readonly #page: Page;
  readonly #definitions = new Map<string, AnyDefinition>();
  readonly #listeners = new Set<() => void>();
  readonly #undo: (() => void)[] = [];
  #entries: Entry[] = [];
  #waiting: readonly WaitingChange[] = [];
  #loaded: Promise<void>;
  #isSending = false;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #count = 0;

  constructor(options: ChangeQueueOptions) {
    this.#options = options;
    this.#storage = options.storage ?? localStorageChanges(options.name);
    this.#page = new Page(options.live.mutation().traceId);
    this.#loaded = this.#load();
    this.#undo.push(
      options.live.onStatus(({ state }) => {
        if (state === "live" && this.#timer !== null) this.send();
      }),
      onOnline(() => this.send()),
    );
    void this.#send();
  }

  /**
   * Say what a kind of change does, once, where the application begins: what waited over a reload is shown and
   * sent from then on. Returns the function that makes such a change; its promise settles with the answer, and
   * that may take as long as the network is away.
   */
  define<TResult, TVariables, TData>(
    name: string,
    definition: ChangeDefinition<TResult, TVariables, TData>,
  ): (variables: TVariables) => Promise<TResult> {
    this.#definitions.set(name, definition as unknown as AnyDefinition);
    for (const entry of this.#entries) this.#lay(entry);
    this.send();
    return (variables) => this.#add<TResult>(name, variables);
  }

  /** Those that have no answer yet, in their order; the same list until it changes. */
  readonly get = (): readonly WaitingChange[] => this.#waiting;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Try now. */
  send(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    void this.#send();
  }

  /** Take a change back that has not been sent. */
  discard(id: string): void {
    const entry = this.#entries.find(({ stored }) => stored.id === id);
    if (entry?.state !== "waiting") return;
    this.#drop(entry);
    entry.change?.undo();
    entry.settle?.reject(new Error("The change was taken back."));
  }

  /** Send nothing more; what waits stays in the storage. */
  close(): void {
    for (const undo of this.#undo.splice(0)) undo();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#definitions.clear();
    for (const { change } of this.#entries.splice(0)) change?.undo();
    this.#page.release();
    this.#tell();
  }

  async #add<TResult>(name: string, variables: unknown): Promise<TResult> {
    const { live } = this.#options;
    const { traceId, headers } = live.mutation();
    const madeAt = Date.now();
    this.#count += 1;
    const order = `${String(madeAt).padStart(15, "0")}-${String(this.#count).padStart(6, "0")}`;
    const stored: StoredChange = {
      id: `${order}-${traceId.slice(0, 8)}`,
      name,
      variables,
      owner: this.#page.id,
      madeAt,
      traceId,
      traceparent: headers.traceparent,
      idempotencyKey: traceId,
      ifMatch: null,
    };
    const entry: Entry = { stored, state: "waiting", change: null, settle: null };
    this.#lay(entry, true);
    entry.stored = { ...stored, ifMatch: entry.change?.identity.ifMatch ?? null };
    this.#entries.push(entry);
    this.#page.hold();
    this.#tell();
    const answer = new Promise<TResult>((resolve, reject) => {
      entry.settle = { resolve, reject };
    });
    // A full or forbidden storage costs the change its second life, not its first.
    await this.#storage.put(entry.stored).catch(() => {});
    void this.#send();
    return answer;
  }

  #lay(entry: Entry, isNew = false): void {
    const definition = this.#definitions.get(entry.stored.name);
    if (entry.change !== null || definition === undefined) return;
    const { variables, traceId, traceparent, idempotencyKey, ifMatch } = entry.stored;
    const trace = { traceId, headers: { traceparent } };
    const identity = { trace, idempotencyKey, ...(isNew ? {} : { ifMatch }) };
    const options = (): AnyDefinition => this.#definitions.get(entry.stored.name) ?? definition;
    const target = definition.target(variables);
    entry.change = new Change(this.#options.live, target, variables, options, identity);
  }

  /** One after the other, for a later change may stand on an earlier one. */
  async #send(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    await this.#loaded;
    for (let entry = this.#entries[0]; entry !== undefined; entry = this.#entries[0]) {
      if (entry.change === null || !(await this.#sendOne(entry, entry.change))) break;
    }
    this.#isSending = false;
  }

  /** Whether the next one may follow. */
  async #sendOne(entry: Entry, change: Change): Promise<boolean> {
    entry.state = "sending";
    this.#tell();
    try {
      const { result } = await change.send();
      this.#failures = 0;
      this.#drop(entry);
      this.#keepRevisions();
      entry.settle?.resolve(result as never);
      return true;
    } catch (error) {
      entry.state = "waiting";
      if (!this.#entries.includes(entry)) return false; // closed meanwhile
      if (change.isUnreachable || this.#options.isUnreachable?.(error) === true) {
        this.#tell();
        this.#later();
        return false;
      }
      this.#refused(entry, change, error);
      return true;
    }
  }

  /** What this page has changed by itself is no conflict for what it changes next, after a reload either. */
  #keepRevisions(): void {
    for (const entry of this.#entries) {
      const ifMatch = entry.change?.identity.ifMatch ?? null;
      if (ifMatch === entry.stored.ifMatch) continue;
      entry.stored = { ...entry.stored, ifMatch };
      this.#storage.put(entry.stored).catch(() => {});
    }
  }

  #refused(entry: Entry, change: Change, error: unknown): void {
    const waiting = shown(entry);
    this.#drop(entry);
    change.undo();
    // Whoever asked may have gone with the page; then it is told here alone.
    entry.settle?.reject(error);
    this.#options.onRefused?.(Object.freeze({ ...waiting, error }));
  }

  #later(): void {
    this.#failures += 1;
    const most = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** (this.#failures - 1));
    this.#timer = setTimeout(() => this.send(), most * (0.5 + Math.random() / 2));
  }

  #drop(entry: Entry): void {
    this.#entries = this.#entries.filter((one) => one !== entry);
    this.#storage.delete(entry.stored.id).catch(() => {});
    if (this.#entries.length === 0) this.#page.release();
    this.#tell();
  }

  /** What pages left behind that are not there any more. */
  async #load(): Promise<void> {
    const { name } = this.#options;
    try {
      const left = await alone(`tidings.changes.${name}`, async () => {
        const alive = await pagesAlive();
        const all = (await this.#storage.all()).filter(({ owner }) => !alive.has(owner));
        const ours = all.map((stored) => ({ ...stored, owner: this.#page.id }));
        if (ours.length > 0) this.#page.hold();
        for (const stored of ours) await this.#storage.put(stored);
        return ours;
      });
      const mine = new Set(this.#entries.map(({ stored }) => stored.id));
      const entries = left
        .filter(({ id }) => !mine.has(id))
        .map((stored): Entry => ({ stored, state: "waiting", change: null, settle: null }));
      this.#entries = [...entries, ...this.#entries].sort(byId);
      for (const entry of entries) this.#lay(entry);
      if (entries.length > 0) this.#tell();
    } catch {
      // No storage: nothing was left.
    }
  }

  #tell(): void {
    this.#waiting = Object.freeze(this.#entries.map(shown));
    for (const listener of [...this.#listeners]) listener();
  }
}

function shown({ stored: { id, name, variables, madeAt }, state }: Entry): WaitingChange {
  return Object.freeze({ id, name, variables, state, madeAt });
}

function byId(a: Entry, b: Entry): number {
  return a.stored.id < b.stored.id ? -1 : 1;
}

function onOnline(run: () => void): () => void {
  if (typeof window === "undefined") return () => {};
  window.addEventListener("online", run);
  return () => window.removeEventListener("online", run);
}
