/** Fetching at intervals, while no transport lets events through. */

import { isSlowNetwork } from "../core/environment.js";

const POLL_MS = 10_000;
/** Where the browser says that the network is slow, or paid by the byte. */
const POLL_SLOW_MS = 30_000;

export class Polling {
  readonly #fetch: () => void;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(fetch: () => void) {
    this.#fetch = fetch;
  }

  set(on: boolean): void {
    if (!on) this.stop();
    else this.#timer ??= this.#next();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #next(): ReturnType<typeof setTimeout> {
    return setTimeout(
      () => {
        this.#timer = this.#next();
        this.#fetch();
      },
      isSlowNetwork() ? POLL_SLOW_MS : POLL_MS,
    );
  }
}
