/** Where this tab was in topics that it has left: who comes back soon goes on there. */

const KEPT_MAX = 1_000;

export class Kept {
  readonly #keepMs: number;
  readonly #cursors = new Map<string, { cursor: string; until: number }>();

  constructor(keepMs: number) {
    this.#keepMs = keepMs;
  }

  put(topic: string, cursor: string, now: number): void {
    this.#cursors.delete(topic);
    this.#cursors.set(topic, { cursor, until: now + this.#keepMs });
    for (const [old, { until }] of this.#cursors) {
      if (until > now && this.#cursors.size <= KEPT_MAX) break;
      this.#cursors.delete(old);
    }
  }

  get(topic: string, now: number): string | null {
    const kept = this.#cursors.get(topic);
    return kept !== undefined && kept.until > now ? kept.cursor : null;
  }
}
