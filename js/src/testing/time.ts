/** Time that stands still until a test moves it, and what is due at once. */

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

export class FakeTime {
  readonly #start: number;
  readonly #timers = new Set<Timer>();
  readonly #soon: (() => void)[] = [];
  #elapsedMs = 0;

  /** `start` is what `now` answers at first. */
  constructor(start: number) {
    this.#start = start;
  }

  get elapsedMs(): number {
    return this.#elapsedMs;
  }

  now(): number {
    return this.#start + this.#elapsedMs;
  }

  /** Run when so much time has been let pass; what it returns takes it back. */
  timer(ms: number, run: () => void): () => void {
    const timer = { at: this.#elapsedMs + ms, run };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** Run when the current task has ended, or when `settle` is called, whichever is first. */
  microtask(run: () => void): void {
    this.#soon.push(run);
    // Not `queueMicrotask`: a test's fake timers may have replaced it.
    void Promise.resolve().then(() => this.settle());
  }

  /** Run what waits, and what comes of it. */
  settle(): void {
    for (let run = this.#soon.shift(); run !== undefined; run = this.#soon.shift()) run();
  }

  /** Let time pass, with all that falls due in it, in order. Throws a RangeError for a step backwards. */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`time only grows; ${ms} ms is no step forwards`);
    const end = this.#elapsedMs + ms;
    this.settle();
    for (let due = this.#due(end); due !== null; due = this.#due(end)) {
      this.#timers.delete(due);
      this.#elapsedMs = due.at;
      due.run();
      this.settle();
    }
    this.#elapsedMs = end;
  }

  #due(end: number): Timer | null {
    let first: Timer | null = null;
    for (const timer of this.#timers) {
      if (timer.at <= end && (first === null || timer.at < first.at)) first = timer;
    }
    return first;
  }
}
