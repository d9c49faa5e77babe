/** The application's function that fetches, run so that its response fits the stream. */

import type { CursorsByTopic } from "./host.js";
import type { Registry } from "./registry.js";

/** What a run of the application's function gives. */
export interface Response<T> {
  readonly data: T;
  /** Where it stands, by its header Tidings-Cursor; null: it does not say. */
  readonly cursors: CursorsByTopic | null;
}

/**
 * Run it, and lay over its response what it does not hold yet. `unfollowed` is told where a response stands that
 * nobody follows yet, such as on a rendering server.
 */
export async function followedRun<T>(
  registry: Registry,
  name: string,
  load: () => Promise<Response<T>>,
  unfollowed: (cursors: CursorsByTopic | null) => void,
): Promise<T> {
  const before = registry.follower(name);
  const run = before?.begin() ?? null;
  const response = await load().catch((error: unknown) => {
    registry.follower(name)?.failed(run);
    throw error;
  });
  const { data, cursors } = response;
  const after = registry.follower(name);
  if (after !== undefined) return after.respond(after === before ? run : null, data, cursors) as T;
  unfollowed(cursors);
  return data;
}
