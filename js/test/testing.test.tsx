// @vitest-environment happy-dom
/** The kit under real components: what a user's own tests look like, with React and TanStack Query. */

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, type ReactNode, StrictMode, useState } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConnectionBadge, TidingsProvider, useTidings, useTopic } from "../src/react/index.js";
import { useTopicMutation, useTopicQuery } from "../src/react-query/index.js";
import { createTestLive, type TestLive } from "../src/testing/index.js";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

type Gift = { id: string; name: string; claimed?: boolean };
const T = "gift-list:1";
let live: TestLive;
let root: Root;
let host: HTMLElement;
let complaints: unknown[][];

beforeEach(() => {
  complaints = [];
  vi.spyOn(console, "error").mockImplementation((...all) => complaints.push(all));
  host = document.createElement("div");
  document.body.append(host);
  root = createRoot(host);
});

afterEach(async () => {
  await act(async () => root.unmount());
  live.close();
  host.remove();
  vi.useRealTimers();
  expect(complaints).toEqual([]);
  vi.restoreAllMocks();
});

async function render(page: ReactNode): Promise<void> {
  await act(async () =>
    root.render(
      <StrictMode>
        <TidingsProvider client={live}>{page}</TidingsProvider>
      </StrictMode>,
    ),
  );
}
const text = () => host.textContent;
const subscribes = () => live.frames.filter(({ frame }) => frame.type === "subscribe");

function Latest({ list = "1" }: { list?: string }) {
  const [names, setNames] = useState<string[]>([]);
  const [gaps, setGaps] = useState(0);
  const { state } = useTopic(
    `gift-list:${list}`,
    ({ data }) => setNames((all) => [...all, (data.payload as Gift).name]),
    { onGap: () => setGaps((n) => n + 1) },
  );
  return <>{`${state} ${names.join(",")} ${gaps}`}</>;
}

describe("useTopic", () => {
  test("in StrictMode: one subscription, each event once", async () => {
    live = createTestLive();
    await render(<Latest />);
    expect(text()).toBe("live  0");
    act(() => live.emit(T, "ADDED", { id: "k", name: "kite" }));
    act(() => live.emit(T, "ADDED", { id: "r", name: "robot" }));
    expect(text()).toBe("live kite,robot 0");
    expect(subscribes()).toHaveLength(1);
    expect(live.topics).toEqual([T]);
  });

  test("an outage, a gap, a refusal", async () => {
    live = createTestLive();
    live.deny("gift-list:secret");
    await render(<Latest />);
    act(() => live.drop(5_000));
    expect(text()).toBe("stale  0");
    act(() => live.emit(T, "ADDED", { id: "k", name: "kite" }));
    expect(text()).toBe("stale  0");
    act(() => live.advance(5_000));
    expect(text()).toBe("live kite 0");
    act(() => live.gap(T));
    expect(text()).toBe("live kite 1");
    await render(<Latest key="other" list="secret" />);
    expect(text()).toBe("denied  0");
    expect(live.reports.map(({ code }) => code)).toEqual(["disconnected", "forbidden"]);
  });

  test("topics that change, and a component that goes", async () => {
    live = createTestLive();
    await render(<Latest />);
    await render(<Latest list="2" />);
    act(() => live.emit(T, "ADDED", { id: "k", name: "kite" }));
    expect(text()).toBe("live  0");
    await render(null);
    act(() => live.advance(6_000));
    expect(live.topics).toEqual([]);
    act(() => live.advance(60_000));
    expect(live.status.state).toBe("idle");
  });
});

test("the badge, whose patience is the runner's time", async () => {
  vi.useFakeTimers();
  live = createTestLive();
  await render(
    <>
      <Latest />
      <ConnectionBadge />
    </>,
  );
  const badge = () => host.querySelector(".tidings-badge-text")?.textContent;
  expect(badge()).toBe("Live");
  act(() => live.drop());
  await act(async () => void vi.advanceTimersByTime(1_100));
  expect(badge()).toBe("Reconnecting…");
  act(() => live.restore());
  await act(async () => void vi.advanceTimersByTime(10_000));
  expect(badge()).toBe("Live");
});

describe("TanStack Query", () => {
  /** The API of a user's test: it reads a list, and says where that stands. */
  let gifts: Gift[];
  const api = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    if (init?.method === "POST") {
      const id = String(input).split("/").at(-1);
      gifts = gifts.map((gift) => (gift.id === id ? { ...gift, claimed: true } : gift));
      const traceId = new Headers(init.headers).get("traceparent")?.split("-")[1] ?? "";
      queueMicrotask(() => act(() => live.emit(T, "UPDATED", { id, claimed: true }, { traceId })));
      return new Response(null, { status: 204 });
    }
    return Response.json(gifts, { headers: { "Tidings-Cursor": `${T}=${live.cursor(T)}` } });
  };

  function Gifts() {
    const tidings = useTidings();
    const queryKey = ["gifts"];
    const { data = [] } = useTopicQuery<Gift[]>({
      queryKey,
      queryFn: async ({ signal }) => (await tidings.fetch("/api/gifts", { signal })).json(),
      topics: T,
      spreadMs: 0,
      apply: (all, { event, data: { entity_id, payload } }) =>
        event === "DELETED"
          ? all.filter(({ id }) => id !== entity_id)
          : event === "ADDED"
            ? [...all, payload as Gift]
            : all.map((one) => (one.id === entity_id ? { ...one, ...(payload as Gift) } : one)),
    });
    const claim = useTopicMutation<void, Error, string, unknown, Gift[]>({
      queryKey,
      mutationFn: async (id, { fetch }) => {
        await fetch(`/api/gifts/${id}`, { method: "POST" });
      },
      optimistic: (all, id) => all.map((one) => (one.id === id ? { ...one, claimed: true } : one)),
    });
    return data.map(({ id, name, claimed }) => (
      <button key={id} type="button" onClick={() => claim.mutate(id)}>
        {`${name}${claimed ? "!" : ""} `}
      </button>
    ));
  }

  async function renderGifts(): Promise<QueryClient> {
    gifts = [{ id: "k", name: "kite" }];
    const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
    await render(
      <QueryClientProvider client={queries}>
        <Gifts />
      </QueryClientProvider>,
    );
    await act(async () => vi.advanceTimersByTimeAsync(10));
    return queries;
  }

  test("events are applied, and after a gap the list is fetched anew", async () => {
    vi.useFakeTimers();
    const fetch = vi.fn(api);
    live = createTestLive({ fetch });
    const queries = await renderGifts();
    expect(text()).toBe("kite ");
    const before = fetch.mock.calls.length; // StrictMode mounts twice
    await act(async () => {
      live.emit(T, "ADDED", { id: "r", name: "robot" });
      await vi.advanceTimersByTimeAsync(10);
    });
    expect(text()).toBe("kite robot ");
    expect(fetch).toHaveBeenCalledTimes(before);
    await act(async () => {
      gifts = [{ id: "d", name: "drum" }];
      live.gap(T);
      await vi.advanceTimersByTimeAsync(1_000);
    });
    expect(text()).toBe("drum ");
    queries.clear();
  });

  test("one's own change is shown at once, and known by its trace when it comes back", async () => {
    vi.useFakeTimers();
    const fetch = vi.fn(api);
    live = createTestLive({ fetch });
    const queries = await renderGifts();
    await act(async () => {
      host.querySelector("button")?.click();
      await vi.advanceTimersByTimeAsync(1_000);
    });
    expect(text()).toBe("kite! ");
    expect(live.emit(T, "NOTED").cursor).toBe("test1-2");
    queries.clear();
  });
});
