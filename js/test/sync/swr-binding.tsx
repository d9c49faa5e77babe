import { act, createElement, Fragment, type ReactNode, StrictMode, useLayoutEffect } from "react";
import { createRoot } from "react-dom/client";
import useSWR, { SWRConfig, useSWRConfig } from "swr";
import { TidingsProvider, useTopic } from "../../src/react/index.js";
import {
  queuedSWRMutation,
  type SWRCache,
  useTopicSWR,
  useTopicSWRMutation,
} from "../../src/swr/index.js";
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

export const swr: Binding = {
  name: "SWR",
  keepsData: true,
  run,
  cache(at) {
    const mounted = new Set<Page>();
    let within: SWRCache | null = null;
    let rename: (one: Rename) => void = () => {};
    const map = new Map();

    function Wiring({ children }: { children: ReactNode }) {
      within = useSWRConfig();
      return children;
    }

    const provider = (): typeof map => map;
    async function show(page: ReactNode, strict = false): Promise<Page> {
      const root = createRoot(document.createElement("div"));
      await run(() =>
        root.render(
          createElement(
            strict ? StrictMode : Fragment,
            null,
            <SWRConfig value={{ provider, dedupingInterval: 0, shouldRetryOnError: false }}>
              <TidingsProvider client={at.live}>
                <Wiring>{page}</Wiring>
              </TidingsProvider>
            </SWRConfig>,
          ),
        ),
      );
      const made: Page = {
        rename: (one) => rename(one),
        refetch: () => void within?.mutate(KEY),
        async unmount() {
          mounted.delete(made);
          await run(() => root.unmount());
        },
      };
      mounted.add(made);
      return made;
    }

    function List({ options, first }: { options: PageOptions; first: boolean }) {
      const { topics = TOPIC, sync, live, enabled = true } = options;
      const { data } = useTopicSWR<Gifts, Error>(
        enabled ? KEY : null,
        (_key, { signal }) => at.load(signal),
        { topics, sync, live },
      );
      const { trigger } = useTopicSWRMutation<Gift, Rename, Gifts>(KEY, at.rename, {
        optimistic: optimisticRename,
        revisionOf: options.revisionOf,
        onConflict: options.onConflict,
        onError: (error) => at.errors.push((error as Error).message),
      });
      if (first) rename = (one) => void trigger(one).catch(() => {});
      return first ? <Shown at={at} gifts={data} /> : null;
    }

    function Plain() {
      const { data, mutate } = useSWR(KEY, () => at.load());
      useTopic(TOPIC, () => void mutate());
      return <Shown at={at} gifts={data} />;
    }

    return {
      mount: ({ components = 1, strict, ...options }) =>
        show(
          Array.from({ length: components }, (_, n) => (
            <List key={String(n)} options={options} first={n === 0} />
          )),
          strict,
        ),
      mountPlain: () => show(<Plain />),
      queued: (queue) =>
        queuedSWRMutation<Gift, Rename, Gifts>(queue, "rename", {
          key: () => KEY,
          mutationFn: at.rename,
          optimistic: optimisticRename,
          ...(within === null ? {} : { within }),
        }),
      async end() {
        for (const page of mounted) await page.unmount();
      },
    };
  },
};
