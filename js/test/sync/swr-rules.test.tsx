// @vitest-environment happy-dom
/** What is SWR's own: rules for a whole application, and data that the application writes by itself. */

import { act, type ReactNode, useLayoutEffect } from "react";
import { createRoot } from "react-dom/client";
import useSWR, { SWRConfig, useSWRConfig } from "swr";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TidingsProvider } from "../../src/react/index.js";
import { ID, tidingsMiddleware, useTopicSWR } from "../../src/swr/index.js";
import type { Gifts } from "./binding.js";
import { type Gift, Stage, TOPIC } from "./stage.js";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

let at: Stage;
let root: ReturnType<typeof createRoot>;
beforeEach(() => {
  at = new Stage();
  root = createRoot(document.createElement("div"));
});
afterEach(async () => {
  await act(async () => root.unmount());
  at.end();
});

const happens = (what: () => unknown): Promise<void> =>
  act(async () => {
    await what();
  });
const pass = (ms: number): Promise<void> => happens(() => at.pass(ms));
const render = (page: ReactNode, value = {}): Promise<void> =>
  happens(() =>
    root.render(
      <SWRConfig value={{ provider: () => new Map(), dedupingInterval: 0, ...value }}>
        <TidingsProvider client={at.live}>{page}</TidingsProvider>
      </SWRConfig>,
    ),
  );

function Shown({ gifts }: { gifts: Gifts | undefined }) {
  useLayoutEffect(() => at.show(gifts));
  return null;
}

test.each<[string, unknown, Parameters<typeof tidingsMiddleware>[0]]>([
  ["a path", "/api/lists/1/gifts", { "gift-list": { key: "/api/lists/:id/gifts", sync: "patch" } }],
  ["a list", ["gifts", 1], { "gift-list": { key: ["gifts", ID], sync: "patch" } }],
])("a component that knows nothing of it follows its topics: %s", async (_, key, rules) => {
  function Plain() {
    const { data } = useSWR<Gifts>(key as string, () => at.load());
    return <Shown gifts={data} />;
  }
  await render(<Plain />, { use: [tidingsMiddleware(rules)] });
  await pass(1_000);
  expect(at.live.topics).toEqual([TOPIC]);
  at.api.reads = 0;
  await happens(() => at.api.change({ id: "kite", name: "red" }));
  await pass(100);
  at.expectEqual();
  expect(at.api.reads).toBe(0);
});

test("keys that no rule names cost nothing", async () => {
  function Plain() {
    const { data } = useSWR<Gifts>("/api/people", () => at.load());
    return <Shown gifts={data} />;
  }
  await render(<Plain />, { use: [tidingsMiddleware({ "gift-list": "/api/lists/:id" })] });
  await pass(1_000);
  expect(at.live.frames).toEqual([]);
  at.expectEqual();
});

test("what the application writes during a fetch stays, and what the fetch brought is asked for again", async () => {
  let write = (_gifts: Gift[]): void => {};
  function Page() {
    const { mutate } = useSWRConfig();
    write = (gifts) => void mutate("gifts", gifts, { revalidate: false });
    const { data } = useTopicSWR<Gifts>("gifts", (_key, { signal }) => at.load(signal), {
      topics: TOPIC,
      sync: "patch",
    });
    return <Shown gifts={data} />;
  }
  await render(<Page />);
  await pass(1_000);
  at.api.latencyMs = 300;
  await happens(() => at.live.gap(TOPIC)); // a fetch begins
  await pass(300);
  await happens(() => write([{ id: "kite", name: "mine", rev: 1 }]));
  expect(at.shown.at(-1)).toBe("kite=mine");
  await pass(200);
  expect(at.shown.at(-1)).toBe("kite=mine"); // not undone by the answer to an older question
  await pass(3_000);
  at.expectEqual();
});
