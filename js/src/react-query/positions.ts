/** Where the cached data of a query is, by topic: kept beside it, and so dehydrated and persisted with it. */

import type { QueryClient, QueryKey } from "@tanstack/react-query";

export type CursorsByTopic = Readonly<Record<string, string>>;

function positionsKey(hash: string): QueryKey {
  return ["~tidings", hash];
}

/** The positions of a query's data, if they are known. */
export function positionsIn(client: QueryClient, hash: string): CursorsByTopic | undefined {
  return client.getQueryData<CursorsByTopic>(positionsKey(hash));
}

export function keepPositions(client: QueryClient, hash: string, positions: CursorsByTopic): void {
  client.setQueryData(positionsKey(hash), positions);
}
