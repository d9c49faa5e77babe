/** A query's function, run so that its response fits the stream. */

import type { Live } from "../core/types.js";
import type { Registry } from "../sync/registry.js";
import { followedRun } from "../sync/run.js";
import { type ClientLike, keepPositions } from "./host.js";

interface Context {
  readonly signal: AbortSignal;
  readonly client?: unknown;
}

/** Run the application's function for the query of that hash. */
export function fetchFollowed<T, C extends object>(
  {
    live,
    client,
    registry,
    hash,
  }: { live: Live; client: ClientLike; registry: Registry; hash: string },
  queryFn: (context: C) => T | Promise<T>,
  context: C,
): Promise<T> {
  return followedRun(
    registry,
    hash,
    async () => {
      const watched = watching(context);
      const data = await queryFn(watched.context);
      const signal = watched.signal();
      return { data, cursors: signal === null ? null : live.cursorsOf(signal) };
    },
    (cursors) => keepPositions(client, hash, cursors),
  );
}

/** Reading `signal` makes a query abort when it is left; so it is read only if the application reads it. */
function watching<C extends object>(context: C): { context: C; signal: () => AbortSignal | null } {
  let signal: AbortSignal | null = null;
  const names = Object.keys(context).filter((name) => name !== "signal") as (keyof C)[];
  const rest = Object.fromEntries(names.map((name) => [name, context[name]]));
  const watched = Object.defineProperty(rest, "signal", {
    enumerable: true,
    get: () => (signal ??= (context as unknown as Context).signal),
  }) as C;
  return { context: watched, signal: () => signal };
}
