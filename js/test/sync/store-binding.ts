/** The store without a framework, and the same through Svelte's stores. */

import { get } from "svelte/store";
import { createTopicStore, type TopicSnapshot, type TopicStore } from "../../src/store/index.js";
import { topicStore } from "../../src/svelte/index.js";
import type { Binding, Gifts, Page, PageOptions } from "./binding.js";
import { type Gift, optimisticRename, type Rename, type Stage, TOPIC } from "./stage.js";

type Readers = Pick<TopicStore<Gifts>, "refetch" | "change" | "target"> & {
  read(listener: (snapshot: TopicSnapshot<Gifts>) => void): () => void;
};

async function run(what: () => unknown): Promise<void> {
  await what();
}

function binding(name: string, make: (at: Stage, options: PageOptions) => Readers): Binding {
  return {
    name,
    keepsData: true,
    run,
    cache(at) {
      let store: Readers | null = null;
      const mounted = new Set<Page>();
      const change = { send: at.rename, optimistic: optimisticRename };
      return {
        async mount({ components = 1, enabled = true, ...options }) {
          store ??= make(at, options);
          const { revisionOf, onConflict } = options;
          const readers = store;
          const offs: (() => void)[] = [];
          for (let n = 0; n < components && enabled; n++)
            offs.push(readers.read(({ data }) => (n === 0 ? at.show(data) : undefined)));
          const page: Page = {
            rename: (rename) =>
              void readers
                .change<Gift, Rename>(rename, { ...change, revisionOf, onConflict })
                .catch((error: Error) => at.errors.push(error.message)),
            refetch: () => void readers.refetch(),
            async unmount() {
              mounted.delete(page);
              for (const off of offs.splice(0)) off();
            },
          };
          mounted.add(page);
          return page;
        },
        queued: (queue) =>
          queue.define<Gift, Rename, Gifts>("rename", {
            ...change,
            target: () => (store as Readers).target,
          }),
        async end() {
          for (const page of mounted) await page.unmount();
        },
      };
    },
  };
}

const optionsOf = (at: Stage, { topics = TOPIC, sync, live }: PageOptions) => ({
  topics,
  sync,
  live,
  load: ({ signal }: { signal: AbortSignal }) => at.load(signal),
});

export const plainStore: Binding = binding("A store", (at, options) => {
  const store = createTopicStore<Gifts>(at.live, optionsOf(at, options));
  return {
    ...store,
    read(listener) {
      const tell = (): void => listener(store.getSnapshot());
      const off = store.subscribe(tell);
      tell();
      return off;
    },
  };
});

export const svelteStore: Binding = binding("Svelte", (at, options) => {
  const store = topicStore<Gifts>(optionsOf(at, options), at.live);
  return { ...store, read: store.subscribe };
});

/** What Svelte itself makes of it. */
export const svelteGet = get;
