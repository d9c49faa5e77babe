// @vitest-environment happy-dom
/** What is React Query's own: rules for a whole application, options for servers, the online manager. */

import {
  dehydrate,
  HydrationBoundary,
  hydrate,
  onlineManager,
  QueryClient,
  QueryClientProvider,
  useQuery,
} from "@tanstack/react-query";
import { act, type ReactNode, useLayoutEffect } from "react";
import { createRoot } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect } from "../../src/index.js";
import { TidingsProvider } from "../../src/react/index.js";
import {
  bindOnlineManager,
  bindQueryClient,
  ID,
  topicQueryOptions,
  useTopicQuery,
} from "../../src/react-query/index.js";
import type { Gifts } from "./binding.js";
import { Stage, TOPIC } from "./stage.js";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

let at: Stage;
let client: QueryClient;
let root: ReturnType<typeof createRoot>;
const undo: (() => void)[] = [];
beforeEach(() => {
  at = new Stage();
  client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  root = createRoot(document.createElement("div"));
});
afterEach(async () => {
  await act(async () => root.unmount());
  for (const one of undo.splice(0)) one();
  client.clear();
  at.end();
});

const happens = (what: () => unknown): Promise<void> =>
  act(async () => {
    await what();
  });
const pass = (ms: number): Promise<void> => happens(() => at.pass(ms));
const render = (page: ReactNode): Promise<void> =>
  happens(() =>
    root.render(
      <QueryClientProvider client={client}>
        <TidingsProvider client={at.live}>{page}</TidingsProvider>
      </QueryClientProvider>,
    ),
  );

function Shown({ gifts }: { gifts: Gifts | undefined }) {
  useLayoutEffect(() => at.show(gifts));
  return null;
}

/** A component that knows nothing of this package. */
function Plain({ list = "1", enabled = true }: { list?: string; enabled?: boolean }) {
  const { data } = useQuery<Gifts>({
    queryKey: ["gifts", list],
    queryFn: ({ signal }) => at.load(signal),
    enabled,
  });
  return <Shown gifts={data} />;
}

describe("bindQueryClient", () => {
  test("a component that knows nothing of it follows its topics, by patches", async () => {
    undo.push(
      bindQueryClient(at.live, client, { "gift-list": { key: ["gifts", ID], sync: "patch" } }),
    );
    await render(<Plain />);
    await pass(500);
    expect(at.live.topics).toEqual([TOPIC]);
    await happens(() => at.api.change({ id: "kite", name: "red" }));
    await pass(100);
    at.expectEqual();
    expect(at.api.reads).toBe(1);
  });

  test("P8 an older response does not undo a newer event", async () => {
    undo.push(
      bindQueryClient(at.live, client, { "gift-list": { key: ["gifts", ID], sync: "patch" } }),
    );
    await render(<Plain />);
    await pass(500);
    at.api.latencyMs = 1_000;
    await happens(() => void client.refetchQueries({ queryKey: ["gifts"] }));
    await pass(100);
    await happens(() => at.api.change({ id: "kite", name: "red" }));
    await pass(3_000);
    expect(at.shown).toEqual(["…", "kite", "kite=red"]);
  });

  test("A14 without a strategy a burst is a few reads", async () => {
    undo.push(bindQueryClient(at.live, client, { "gift-list": ["gifts", ID] }));
    await render(<Plain />);
    await pass(1_000);
    at.api.reads = 0;
    for (let n = 0; n < 100; n++) {
      await happens(() => at.api.change({ id: "kite", name: `n${n}` }));
      await pass(5);
    }
    await pass(2_000);
    at.expectEqual();
    expect(at.api.reads).toBeLessThanOrEqual(5);
  });

  test("only what is used, enabled and matches is followed, and nothing after the end", async () => {
    const end = bindQueryClient(at.live, client, { "gift-list": ["gifts", ID] });
    await render(<Plain enabled={false} />);
    await pass(6_000);
    expect(at.live.topics).toEqual([]);
    await render(<Plain />);
    await pass(500);
    expect(at.live.topics).toEqual([TOPIC]);
    await render(<Plain list="2" />);
    await pass(6_000);
    expect(at.live.topics).toEqual(["gift-list:2"]);
    end();
    await pass(6_000);
    expect(at.live.topics).toEqual([]);
    expect(at.live.debug().subscribers).toBe(0);
  });
});

describe("topicQueryOptions", () => {
  const options = (live = at.live) =>
    topicQueryOptions(live, {
      queryKey: ["gifts", "1"],
      queryFn: ({ signal }): Promise<Gifts> => at.load(signal),
      topics: TOPIC,
      sync: "patch",
    });

  function Followed() {
    const { data } = useTopicQuery(options());
    return <Shown gifts={data} />;
  }

  test("P32 what is read on a server follows from there on the page, without another read", async () => {
    const server = new QueryClient();
    const reading = server.prefetchQuery(options());
    await at.pass(100);
    await reading;
    const sent: unknown = JSON.parse(JSON.stringify(dehydrate(server)));
    at.api.change({ id: "kite", name: "red" }); // before the page has woken up
    expect(at.api.reads).toBe(1);
    await render(
      <HydrationBoundary state={sent as never}>
        <Followed />
      </HydrationBoundary>,
    );
    await pass(500);
    expect(at.shown).toEqual(["kite", "kite=red"]);
    expect(at.api.reads).toBe(1);
  });

  test("a page kept over a reload without its connection: the same", async () => {
    await render(<Followed />);
    await pass(500);
    const kept = dehydrate(client);
    await happens(() => root.unmount());
    await happens(() => at.api.change({ id: "kite", name: "red" }));
    client = new QueryClient();
    hydrate(client, kept);
    root = createRoot(document.createElement("div"));
    await render(<Followed />);
    await pass(500);
    at.expectEqual();
    expect(at.api.reads).toBe(1);
  });
});

describe("bindOnlineManager", () => {
  test("P19 a live connection is online, whatever the browser guesses", async () => {
    undo.push(bindOnlineManager(at.live));
    at.live.subscribe(TOPIC, () => {});
    await at.pass(100);
    Object.defineProperty(navigator, "onLine", { value: false, configurable: true });
    window.dispatchEvent(new Event("offline"));
    expect(onlineManager.isOnline()).toBe(true);
    at.live.drop();
    expect(onlineManager.isOnline()).toBe(false);
    at.live.restore();
    expect(onlineManager.isOnline()).toBe(true);
    Object.defineProperty(navigator, "onLine", { value: true, configurable: true });
    window.dispatchEvent(new Event("online"));
  });
});

test("on a rendering server there is no connection, and options can be made", () => {
  const inert = connect({ url: "https://live.example/realtime" });
  expect(
    topicQueryOptions(inert, { queryKey: ["a"], queryFn: () => 1, topics: "a:1" }).topics,
  ).toBe("a:1");
});
