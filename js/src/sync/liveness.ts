/** Whether data is followed at this moment, and since when not: then the page polls. */

import type { Status } from "../core/types.js";

export interface FollowState {
  readonly live: boolean;
  /** Not live for so long that the page should poll. */
  readonly fallback: boolean;
}

export const FOLLOWING: FollowState = Object.freeze({ live: true, fallback: false });
export const WAITING: FollowState = Object.freeze({ live: false, fallback: false });
export const POLLING: FollowState = Object.freeze({ live: false, fallback: true });

const FALLBACK_AFTER_MS = 30_000;

export class Liveness {
  readonly #listeners = new Set<(state: FollowState) => void>();
  #state: FollowState = WAITING;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #refetching = false;
  #askedAt: number | null = null;

  get state(): FollowState {
    return this.#state;
  }

  listen(listener: (state: FollowState) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /**
   * Whether to fetch beside the polling: `soon` when no transport is left any more, for the data has been
   * growing old since the last one failed; `now` when somebody asks.
   */
  note(live: boolean, { refetching, askedAt }: Status): "soon" | "now" | null {
    const asked = askedAt !== null && askedAt !== this.#askedAt;
    const begins = refetching && !this.#refetching;
    this.#askedAt = askedAt;
    this.#refetching = refetching;
    if (live) {
      this.stop();
      this.#set(FOLLOWING);
    } else if (refetching) {
      this.stop();
      this.#set(POLLING);
      return asked ? "now" : begins ? "soon" : null;
    } else {
      if (this.#state === FOLLOWING) this.#set(WAITING);
      this.#timer ??= setTimeout(() => this.#set(POLLING), FALLBACK_AFTER_MS);
    }
    return null;
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #set(state: FollowState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }
}
