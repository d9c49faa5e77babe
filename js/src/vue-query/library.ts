import { focusManager, hashKey, notifyManager, type QueryClient } from "@tanstack/vue-query";
import type { Target } from "../sync/change.js";
import type { Registry } from "../sync/registry.js";
import { type ClientLike, type Library, queryTarget, registryOfClient } from "../tanstack/host.js";

export const LIBRARY: Library = { focusManager, notifyManager };

/** Vue's client takes refs where the others take values; what is used of it is the same. */
export function clientLike(client: QueryClient): ClientLike {
  return client as unknown as ClientLike;
}

/** What belongs to the queries of a client, by their hashes. */
export function registryFor(client: QueryClient): Registry {
  return registryOfClient(client, LIBRARY);
}

/** A query as what changes are laid over. */
export function targetOf(client: QueryClient, queryKey: readonly unknown[]): Target {
  const known = client.getQueryCache().find({ queryKey, exact: true });
  return queryTarget(clientLike(client), LIBRARY, queryKey, known?.queryHash ?? hashKey(queryKey));
}
