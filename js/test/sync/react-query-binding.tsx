import { QueryClient, QueryClientProvider, useQuery, useQueryClient } from "@tanstack/react-query";
import { act, createElement, Fragment, type ReactNode, StrictMode, useLayoutEffect } from "react";
import { createRoot } from "react-dom/client";
import { TidingsProvider, useTopic } from "../../src/react/index.js";
import { queuedMutation, useTopicMutation, useTopicQuery } from "../../src/react-query/index.js";
import type { Binding, Gifts, Page, PageOptions } from "./binding.js";
import { type Gift, optimisticRename, type Rename, type Stage, TOPIC } from "./stage.js";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

const KEY = ["gifts"];

async function run(what: () => unknown): Promise<void> {
  await act(async () => {
    await what();
  });
}

function Shown({ at, gifts }: { at: Stage; gifts: Gifts | undefined }) {
  useLayoutEffect(() => at.show(gifts));
  return null;
}

export const reactQuery: Binding = {
  name: "React Query",
  keepsData: true,
  run,
  cache(at) {
    const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
    const mounted = new Set<Page>();
    async function show(
      page: ReactNode,
      controls: () => Omit<Page, "unmount">,
      strict = false,
    ): Promise<Page> {
      const root = createRoot(document.createElement("div"));
      await run(() =>
        root.render(
          createElement(
            strict ? StrictMode : Fragment,
            null,
            <QueryClientProvider client={client}>
              <TidingsProvider client={at.live}>{page}</TidingsProvider>
            </QueryClientProvider>,
          ),
        ),
      );
      const made: Page = {
        rename: (rename) => controls().rename(rename),
        refetch: () => controls().refetch(),
        async unmount() {
          mounted.delete(made);
          await run(() => root.unmount());
        },
      };
      mounted.add(made);
      return made;
    }
    const refetch = (): void => void client.refetchQueries({ queryKey: KEY });
    let mutate: (rename: Rename) => void = () => {};

    function List({ options, first }: { options: PageOptions; first: boolean }) {
      const { topics = TOPIC, sync, live, enabled } = options;
      const { data } = useTopicQuery<Gifts>({
        queryKey: KEY,
        queryFn: ({ signal }) => at.load(signal),
        topics,
        ...(sync === undefined ? {} : { sync }),
        ...(live === undefined ? {} : { live }),
        ...(enabled === undefined ? {} : { enabled }),
      });
      const mutation = useTopicMutation<Gift, Error, Rename, unknown, Gifts>({
        queryKey: KEY,
        mutationFn: at.rename,
        optimistic: optimisticRename,
        revisionOf: options.revisionOf,
        onConflict: options.onConflict,
        onError: (error) => at.errors.push(error.message),
      });
      if (first) mutate = mutation.mutate;
      return first ? <Shown at={at} gifts={data} /> : null;
    }

    function Plain() {
      const queries = useQueryClient();
      const { data } = useQuery({ queryKey: KEY, queryFn: ({ signal }) => at.load(signal) });
      useTopic(TOPIC, () => void queries.invalidateQueries({ queryKey: KEY }));
      return <Shown at={at} gifts={data} />;
    }

    return {
      mount: ({ components = 1, strict, ...options }) =>
        show(
          Array.from({ length: components }, (_, n) => (
            <List key={String(n)} options={options} first={n === 0} />
          )),
          () => ({ rename: mutate, refetch }),
          strict,
        ),
      mountPlain: () => show(<Plain />, () => ({ rename: () => {}, refetch })),
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
