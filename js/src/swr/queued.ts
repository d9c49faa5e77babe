/** Changes to SWR's data that wait in a queue while the server is away, and over a reload. */

import { type Key, mutate, SWRConfig, unstable_serialize } from "swr";
import type { ChangeOptions } from "../sync/change.js";
import type { ChangeQueue } from "../sync/queue.js";
import type { ChangeTools } from "../sync/tools.js";
import { type SWRCache, swrTarget } from "./cache.js";

export interface QueuedSWRMutationOptions<Data, Variables, Cached>
  extends Omit<ChangeOptions<Data, Variables, Cached>, "send"> {
  mutationFn: (variables: Variables, tools: ChangeTools) => Promise<Data>;
  /** The key whose data changes. */
  key: (variables: Variables) => Key;
  /** What `useSWRConfig` gives, where the application has a cache of its own. */
  within?: SWRCache;
}

/** Say what a kind of change does, once, outside of components. The returned function makes one. */
export function queuedSWRMutation<Data, Variables, Cached>(
  queue: ChangeQueue,
  name: string,
  { mutationFn, key, within, ...options }: QueuedSWRMutationOptions<Data, Variables, Cached>,
): (variables: Variables) => Promise<Data> {
  const swr = within ?? { cache: SWRConfig.defaultValue.cache, mutate };
  return queue.define<Data, Variables, Cached>(name, {
    ...options,
    send: mutationFn,
    target: (variables) => {
      const plain = key(variables);
      return swrTarget(swr, plain, unstable_serialize(plain));
    },
  });
}
