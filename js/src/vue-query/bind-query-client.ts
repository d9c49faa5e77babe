import type { QueryClient } from "@tanstack/vue-query";
import type { Live } from "../core/types.js";
import type { KeyRules } from "../sync/patterns.js";
import { type BindableClient, bindRules } from "../tanstack/bind.js";
import { LIBRARY } from "./library.js";

/**
 * From now on, every query in use whose key matches follows its topics; call it where the client is made, before
 * anything is fetched. What this page's own changes lay over the data (`useTopicMutation`) is seen by
 * `useTopicQuery` only. Returns the function that ends it.
 */
export function bindQueryClient(live: Live, client: QueryClient, rules: KeyRules): () => void {
  return bindRules(live, client as unknown as BindableClient, LIBRARY, rules);
}
