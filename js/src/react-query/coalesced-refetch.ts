import type { QueryClient, QueryKey } from "@tanstack/react-query";
import { type CoalesceOptions, Coalescer } from "../sync/coalesce.js";
import { queryHost } from "../tanstack/host.js";
import { hashOf, LIBRARY } from "./library.js";

/**
 * A function to call for each event: it refetches the query as the rules of coalescing have it. Make it once (in
 * a module, a ref or a memo) per query.
 */
export function coalescedRefetch(
  client: QueryClient,
  queryKey: QueryKey,
  options: CoalesceOptions = {},
): () => void {
  const host = queryHost(client, LIBRARY, queryKey, hashOf(client, queryKey));
  const coalescer = new Coalescer(() => host.refetch(), options, host);
  return () => coalescer.request();
}
