/**
 * Refetching that neither loses an update nor storms nor starves.
 *
 * One fetch at a time, and at most one after it: whatever asks while a fetch runs is served by the next, for the
 * running one may have read too early. Between two starts lies a gap. It is no debounce: under a steady stream
 * the screen still moves once per gap.
 */

import { type Attention, PAGE_ATTENTION } from "./host.js";

export interface CoalesceOptions {
  /** The least time between the starts of two fetches, in milliseconds. */
  gapMs?: number;
  /** The first fetch after a quiet time waits a random part of this, so that all screens do not ask at once. */
  spreadMs?: number;
}

export const GAP_MS = 250;
export const SPREAD_MS = 400;
/** A fetch that failed is tried again, for the data is known to be old: after this, and then ever more seldom. */
const AFTER_FAILURE_MS = 10_000;
const AFTER_FAILURES_MAX_MS = 300_000;

/** Runs `fetch`, which tells whether it succeeded, whenever asked; see above for how often. */
export class Coalescer {
  readonly #fetch: () => Promise<boolean>;
  readonly #gapMs: number;
  readonly #spreadMs: number;
  #startedAt = Number.NEGATIVE_INFINITY;
  #running = false;
  #again = false;
  #timer: ReturnType<typeof setTimeout> | null = null;
  readonly #attention: Attention;
  #waitForEyes: (() => void) | null = null;
  #stopped = false;
  #failures = 0;

  constructor(
    fetch: () => Promise<boolean>,
    options: CoalesceOptions = {},
    attention: Attention = PAGE_ATTENTION,
  ) {
    this.#fetch = fetch;
    this.#attention = attention;
    this.#gapMs = options.gapMs ?? GAP_MS;
    this.#spreadMs = options.spreadMs ?? 0;
  }

  /** The data is old. `urgent`: this page caused the change, so it does not wait for the spread. */
  request(urgent = false): void {
    if (this.#stopped) return;
    if (this.#running) this.#again = true;
    else if (urgent || this.#timer === null) this.#schedule(urgent ? 0 : this.#spread());
  }

  /** A fetch begins that is not ours: it serves whoever waits for one. */
  served(): void {
    if (!this.#running) this.#clear();
  }

  /** A fetch that was not ours has failed, and the data is still old. */
  failed(): void {
    if (this.#stopped || this.#running || this.#timer !== null) return;
    this.#failures += 1;
    this.#retry();
  }

  /** Ask no more; a fetch that runs is left to itself. */
  stop(): void {
    this.#stopped = true;
    this.#clear();
  }

  /** Waits only after a quiet time: while fetches follow one another, screens are out of step already. */
  #spread(): number {
    const quiet = Date.now() - this.#startedAt > 2 * this.#gapMs;
    return quiet ? Math.random() * this.#spreadMs : 0;
  }

  #schedule(ms: number): void {
    this.#clear();
    const gap = Math.max(0, this.#startedAt + this.#gapMs - Date.now());
    this.#timer = setTimeout(() => this.#start(), Math.max(ms, gap));
  }

  #start(): void {
    this.#timer = null;
    if (!this.#attention.isActive()) {
      // Nobody looks: once, when somebody does.
      this.#waitForEyes ??= this.#attention.onActive((active) => {
        if (active) this.#schedule(0);
      });
      return;
    }
    this.#running = true;
    this.#again = false;
    this.#startedAt = Date.now();
    const end = (succeeded: boolean): void => {
      this.#running = false;
      this.#failures = succeeded ? 0 : this.#failures + 1;
      if (this.#stopped) return;
      if (this.#again) this.#schedule(0);
      else if (!succeeded) this.#retry();
    };
    this.#fetch().then(end, () => end(false));
  }

  #retry(): void {
    const wait = AFTER_FAILURE_MS * 2 ** (this.#failures - 1);
    this.#schedule(Math.min(AFTER_FAILURES_MAX_MS, wait));
  }

  #clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#waitForEyes?.();
    this.#waitForEyes = null;
  }
}
