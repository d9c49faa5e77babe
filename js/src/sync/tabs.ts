/** Which pages of the origin are there: what one of them left behind, another takes over. */

const PREFIX = "tidings.page.";

/** One page, alive for the others for as long as it says so. */
export class Page {
  readonly id: string;
  #release: (() => void) | null = null;

  constructor(id: string) {
    this.id = id;
  }

  /** Held only while there is something to lose: a page that holds a lock is not kept when one goes back. */
  hold(): void {
    const locks = locksOf();
    if (this.#release !== null || locks === null) return;
    const released = new Promise<void>((resolve) => {
      this.#release = resolve;
    });
    locks.request(PREFIX + this.id, () => released).catch(() => {});
  }

  release(): void {
    this.#release?.();
    this.#release = null;
  }
}

/** Those that say that they are there; without Web Locks nobody does. */
export async function pagesAlive(): Promise<ReadonlySet<string>> {
  const { held = [], pending = [] } = (await locksOf()?.query()) ?? {};
  const names = [...held, ...pending].map(({ name }) => name ?? "");
  const ours = names.filter((name) => name.startsWith(PREFIX));
  return new Set(ours.map((name) => name.slice(PREFIX.length)));
}

/** Run while no other page runs what has the same name. */
export async function alone<T>(name: string, run: () => Promise<T>): Promise<T> {
  const locks = locksOf();
  return locks === null ? run() : ((await locks.request(name, run)) as T);
}

function locksOf(): LockManager | null {
  return typeof navigator === "undefined" ? null : (navigator.locks ?? null);
}
