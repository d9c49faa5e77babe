import { focusManager, hashKey, notifyManager, type QueryClient } from "@tanstack/react-query";
import type { Target } from "../sync/change.js";
import type { Registry } from "../sync/registry.js";
import { type Library, queryTarget, registryOfClient } from "../tanstack/host.js";

export const LIBRARY: Library = { focusManager, notifyManager };

/** What belongs to the queries of a client, by their hashes. */
export function registryFor(client: QueryClient): Registry {
  return registryOfClient(client, LIBRARY);
}

/** The hash of a query's key, also where the query has a hash function of its own. */
export function hashOf(client: QueryClient, queryKey: readonly unknown[]): string {
  return client.getQueryCache().find({ queryKey, exact: true })?.queryHash ?? hashKey(queryKey);
}

/** A query as what changes are laid over. */
export function targetOf(client: QueryClient, queryKey: readonly unknown[]): Target {
  return queryTarget(client, LIBRARY, queryKey, hashOf(client, queryKey));
}
