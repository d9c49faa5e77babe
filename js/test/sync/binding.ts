/** What each framework's adapter gives to the cases. */

import type { OnConflict } from "../../src/sync/conflict.js";
import type { ChangeQueue } from "../../src/sync/queue.js";
import type { Sync } from "../../src/sync/rules.js";
import type { Topics } from "../../src/sync/topics.js";
import type { Gift, Rename, Stage } from "./stage.js";

export type Gifts = readonly Gift[];

export interface PageOptions {
  topics?: Topics<Gifts>;
  sync?: Sync<Gifts>;
  live?: boolean;
  enabled?: boolean;
  /** How many components show the list. */
  components?: number;
  /** React mounts everything twice then. */
  strict?: boolean;
  revisionOf?: (gifts: Gifts, rename: Rename) => number | undefined;
  onConflict?: OnConflict<Rename, Gifts>;
}

export interface Page {
  /** The person at the page renames a gift; a refusal goes to `at.errors`. */
  rename(rename: Rename): void;
  /** The application refetches by itself. */
  refetch(): void;
  unmount(): Promise<void>;
}

export interface Binding {
  readonly name: string;
  /** Whether a mount that follows an unmount finds the data of before. */
  readonly keepsData: boolean;
  /** How its scheduler wants things done (React: `act`). */
  run(what: () => unknown): Promise<void>;
  /** One cache: what is mounted on it shares the data. */
  cache(at: Stage): {
    mount(options: PageOptions): Promise<Page>;
    /** The usual pattern, "event, then invalidate", without this package's binding. */
    mountPlain?(): Promise<Page>;
    /** The function that renames by way of the queue. */
    queued(queue: ChangeQueue): (rename: Rename) => Promise<unknown>;
    end(): Promise<void>;
  };
}
