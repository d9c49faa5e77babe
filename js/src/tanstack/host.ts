/** TanStack Query's cache as the floor below sees one. The same for React and for Vue. */

import type { Target } from "../sync/change.js";
import type { CursorsByTopic, Host, Scheduler } from "../sync/host.js";
import { type Registry, registryOf } from "../sync/registry.js";

type Key = readonly unknown[];

/** The part of the library that each of its packages exports. */
export interface Library {
  readonly focusManager: {
    isFocused(): boolean;
    subscribe(listener: (focused: boolean) => void): () => void;
  };
  readonly notifyManager: {
    batch<T>(run: () => T): T;
    schedule(run: () => void): void;
  };
}

export interface QueryLike {
  readonly queryHash: string;
  readonly queryKey: Key;
  readonly state: {
    readonly fetchStatus: string;
    readonly status: string;
    readonly data?: unknown;
  };
  readonly promise?: Promise<unknown> | undefined;
  isActive(): boolean;
}

export interface CacheEvent {
  readonly type: string;
  readonly query: QueryLike;
  readonly action?: { readonly type: string; readonly manual?: boolean };
}

/** What is used of a `QueryClient`, so that no version of it is the only one that fits. */
export interface ClientLike {
  getQueryData(key: Key): unknown;
  setQueryData(key: Key, data: unknown): unknown;
  getQueryCache(): {
    get(hash: string): unknown;
    getAll(): unknown[];
    subscribe(listener: (event: never) => void): () => void;
  };
  refetchQueries(filters: { queryKey: Key; exact: boolean }, options: object): Promise<unknown>;
  invalidateQueries(filters: {
    queryKey: Key;
    exact: boolean;
    refetchType: "none";
  }): Promise<unknown>;
}

/** The registry of a client. */
export function registryOfClient(client: object, { notifyManager }: Library): Registry {
  const scheduler: Scheduler = {
    batch: (run) => notifyManager.batch(run),
    tell: (listener) => notifyManager.schedule(listener),
  };
  return registryOf(client, scheduler);
}

/** One query. Its position is kept as a companion query, and so dehydrated and persisted with it. */
export function queryHost(
  client: ClientLike,
  { focusManager }: Library,
  queryKey: Key,
  hash: string,
): Host {
  return {
    read: () => client.getQueryData(queryKey),
    write: (data) => void client.setQueryData(queryKey, data),
    refetch: () => refetchAfter(client, queryKey, hash),
    invalidate: () => void client.invalidateQueries({ queryKey, exact: true, refetchType: "none" }),
    onResponse: (listener) =>
      client.getQueryCache().subscribe(({ type, query, action }: CacheEvent) => {
        const isOurs = type === "updated" && query.queryHash === hash;
        if (isOurs && action?.type === "success" && action.manual !== true) listener();
      }),
    recall: () => positionsIn(client, hash),
    remember: (positions) => keepPositions(client, hash, positions),
    isActive: () => focusManager.isFocused(),
    onActive: (listener) => focusManager.subscribe(listener),
  };
}

/** Refetch a query, but only after the fetch that may be running: it may have read before the change. */
export async function refetchAfter(
  client: ClientLike,
  queryKey: Key,
  hash: string,
): Promise<boolean> {
  const query = (): QueryLike | undefined =>
    client.getQueryCache().get(hash) as QueryLike | undefined;
  const running = query();
  if (running?.state.fetchStatus === "fetching") await running.promise?.catch(() => {});
  await client.refetchQueries({ queryKey, exact: true }, { cancelRefetch: false });
  return query()?.state.status !== "error";
}

function positionsKey(hash: string): Key {
  return ["~tidings", hash];
}

/** The positions of a query's data, if they are known. */
export function positionsIn(client: ClientLike, hash: string): CursorsByTopic | undefined {
  return (client.getQueryData(positionsKey(hash)) ?? undefined) as CursorsByTopic | undefined;
}

export function keepPositions(
  client: ClientLike,
  hash: string,
  positions: CursorsByTopic | null,
): void {
  if (positions === null && positionsIn(client, hash) === undefined) return;
  client.setQueryData(positionsKey(hash), positions);
}

/** A query as what changes are laid over. */
export function queryTarget(
  client: ClientLike,
  library: Library,
  queryKey: Key,
  hash: string,
): Target {
  const registry = registryOfClient(client, library);
  const host = queryHost(client, library, queryKey, hash);
  return {
    layers: registry.layers(hash),
    follower: () => registry.follower(hash),
    read: host.read,
    refetch: host.refetch,
  };
}
