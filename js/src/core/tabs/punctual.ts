/**
 * Timers that can be looked at: a browser holds those of a hidden page back for a minute, but not its messages.
 * So a tab that is looked at has the leader's timers run in time, hidden or not.
 */

type StartTimer = (ms: number, run: () => void) => () => void;

interface Timer {
  readonly due: number;
  readonly fire: () => void;
}

export class Punctual {
  readonly #now: () => number;
  readonly #start: StartTimer;
  readonly #timers = new Set<Timer>();

  constructor(now: () => number, start: StartTimer) {
    this.#now = now;
    this.#start = start;
  }

  readonly timer: StartTimer = (ms, run) => {
    const stop = (): void => {
      cancel();
      this.#timers.delete(timer);
    };
    const fire = (): void => {
      stop();
      run();
    };
    const timer = { due: this.#now() + ms, fire };
    const cancel = this.#start(ms, fire);
    this.#timers.add(timer);
    return stop;
  };

  /** Run what is due and was held back. */
  look(): void {
    const now = this.#now();
    for (const timer of [...this.#timers]) if (timer.due <= now) timer.fire();
  }
}
