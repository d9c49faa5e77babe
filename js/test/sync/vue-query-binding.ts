import { QueryClient, useQuery, useQueryClient, VueQueryPlugin } from "@tanstack/vue-query";
import { type Component, createApp, defineComponent, h, nextTick, onMounted, onUpdated } from "vue";
import { createTidings, useTopic } from "../../src/vue/index.js";
import { queuedMutation, useTopicMutation, useTopicQuery } from "../../src/vue-query/index.js";
import type { Binding, Gifts, Page, PageOptions } from "./binding.js";
import { type Gift, optimisticRename, type Rename, type Stage, TOPIC, textOf } from "./stage.js";

const KEY = ["gifts"];

async function run(what: () => unknown): Promise<void> {
  await what();
  await nextTick();
}

/** Shows the list, and records each time that the page was painted anew. */
function painting(at: Stage, gifts: () => Gifts | undefined): () => ReturnType<typeof h> {
  const paint = (): void => at.show(gifts());
  onMounted(paint);
  onUpdated(paint);
  return () => h("p", textOf(gifts()));
}

export const vueQuery: Binding = {
  name: "Vue Query",
  keepsData: true,
  run,
  cache(at) {
    const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
    const mounted = new Set<Page>();
    let mutate: (rename: Rename) => void = () => {};

    async function show(page: Component): Promise<Page> {
      const app = createApp(page);
      app.use(VueQueryPlugin, { queryClient: client });
      app.use(createTidings({ client: at.live }));
      await run(() => app.mount(document.createElement("div")));
      const made: Page = {
        rename: (rename) => mutate(rename),
        refetch: () => void client.refetchQueries({ queryKey: KEY }),
        async unmount() {
          mounted.delete(made);
          await run(() => app.unmount());
        },
      };
      mounted.add(made);
      return made;
    }

    const List = (options: PageOptions, first: boolean) =>
      defineComponent(() => {
        const { topics = TOPIC, sync, live, enabled, revisionOf, onConflict } = options;
        const { data } = useTopicQuery<Gifts>({
          queryKey: KEY,
          queryFn: ({ signal }) => at.load(signal),
          topics,
          sync,
          live,
          ...(enabled === undefined ? {} : { enabled }),
        });
        const mutation = useTopicMutation<Gift, Error, Rename, unknown, Gifts>({
          queryKey: KEY,
          mutationFn: at.rename,
          optimistic: optimisticRename,
          revisionOf,
          onConflict,
          onError: (error) => at.errors.push(error.message),
        });
        if (!first) return () => null;
        mutate = (rename) => mutation.mutate(rename);
        return painting(at, () => data.value);
      });

    const Plain = defineComponent(() => {
      const queries = useQueryClient();
      const { data } = useQuery({ queryKey: KEY, queryFn: ({ signal }) => at.load(signal) });
      useTopic(TOPIC, () => void queries.invalidateQueries({ queryKey: KEY }));
      return painting(at, () => data.value as Gifts | undefined);
    });

    return {
      mount({ components = 1, strict: _, ...options }) {
        const lists = Array.from({ length: components }, (_, n) => List(options, n === 0));
        return show(defineComponent(() => () => lists.map((list) => h(list))));
      },
      mountPlain: () => show(Plain),
      queued: (queue) =>
        queuedMutation<Gift, Rename, Gifts>(queue, client, "rename", {
          queryKey: () => KEY,
          mutationFn: at.rename,
          optimistic: optimisticRename,
        }),
      async end() {
        for (const page of mounted) await page.unmount();
        client.clear();
      },
    };
  },
};
