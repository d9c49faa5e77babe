// @vitest-environment happy-dom
import { act, StrictMode, useState } from "react";
import { createRoot, hydrateRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Client } from "../src/core/client.js";
import { ConnectionBadge, TidingsProvider, useTidings, useTopic } from "../src/react/index.js";
import { settled, World } from "./world.js";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

const T = "gift-list:1";
let world: World;
let client: Client;
let root: Root;
let host: HTMLElement;
let complaints: unknown[][];

beforeEach(() => {
  world = new World();
  client = world.client({ onError: () => {} });
  host = document.createElement("div");
  document.body.append(host);
  root = createRoot(host);
  complaints = [];
  vi.spyOn(console, "error").mockImplementation((...all) => complaints.push(all));
});

afterEach(async () => {
  await act(async () => root.unmount());
  host.remove();
  expect(complaints).toEqual([]);
  vi.restoreAllMocks();
});

async function render(element: React.ReactNode): Promise<void> {
  await act(async () => {
    root.render(
      <StrictMode>
        <TidingsProvider client={client}>{element}</TidingsProvider>
      </StrictMode>,
    );
    await settled();
  });
}

async function connected(): Promise<void> {
  await act(async () => {
    world.socket.welcome();
    world.socket.answer("k-10");
    await settled();
  });
}

const subscribes = () => world.sockets.flatMap((socket) => socket.frames("subscribe"));
const unsubscribes = () => world.sockets.flatMap((socket) => socket.frames("unsubscribe"));

describe("useTopic", () => {
  test("A1: 500 components on 60 topics with inline options are one connection and one frame", async () => {
    function Card({ n }: { n: number }) {
      useTopic([`gift-list:${n % 60}`], () => {}, { enabled: true });
      useTidings();
      return null;
    }
    await render(Array.from({ length: 500 }, (_, n) => <Card key={String(n)} n={n} />));
    await connected();
    expect(world.sockets).toHaveLength(1);
    expect(subscribes()).toHaveLength(1);
    expect(subscribes()[0]?.topics).toHaveLength(60);
    expect(unsubscribes()).toHaveLength(0);
  });

  test("A2, A3: rendering again, with new arrays and handlers, costs nothing, and the newest handler is called", async () => {
    const seen: number[] = [];
    let again = (_n: number): void => {};
    function Counter() {
      const [n, setN] = useState(0);
      again = setN;
      useTopic([T, "user:1"], () => seen.push(n), { since: {} });
      return <>{n}</>;
    }
    await render(<Counter />);
    await connected();
    const sent = world.socket.sent.length;
    for (let n = 1; n <= 300; n++) await act(async () => again(n));
    expect(world.socket.sent).toHaveLength(sent);
    await act(async () => world.socket.event(T, "k-11"));
    expect(seen).toEqual([300]);
    expect(client.debug().subscribers).toBe(1);
  });

  test("A4: a closed dialog costs nothing, not even a connection", async () => {
    function Dialog({ open }: { open: boolean }) {
      useTopic(open ? T : null, () => {});
      useTopic(T, () => {}, { enabled: open });
      useTopic([], () => {});
      return null;
    }
    await render(Array.from({ length: 50 }, (_, n) => <Dialog key={String(n)} open={false} />));
    expect(world.sockets).toHaveLength(0);
    expect(client.debug().subscribers).toBe(0);
    await render(<Dialog open />);
    expect(world.sockets).toHaveLength(1);
  });

  test("A5: a hundred navigations, at most two frames each, and at the end what is mounted", async () => {
    function Page({ name }: { name: string }) {
      const topics = Array.from({ length: 30 }, (_, n) => `${name}:${n}`);
      return topics.map((topic) => <Row key={topic} topic={topic} />);
    }
    function Row({ topic }: { topic: string }) {
      useTopic(topic, () => {});
      return null;
    }
    await render(<Page name="a" />);
    await connected();
    for (let n = 0; n < 100; n++) {
      const before = world.socket.sent.length;
      await render(<Page name={n % 2 === 0 ? "b" : "a"} />);
      await act(async () => world.socket.answer());
      world.pass(n % 10 === 0 ? 6_000 : 300);
      expect(world.socket.sent.length - before).toBeLessThanOrEqual(2);
      world.socket.say({ type: "pong", topic: "system" });
    }
    world.pass(6_000);
    expect(world.sockets).toHaveLength(1);
    const topics = Object.keys(client.debug().topics);
    expect(topics.sort()).toEqual(Array.from({ length: 30 }, (_, n) => `a:${n}`).sort());
  });

  test("the state of the topic, and of the neediest of several", async () => {
    const states: string[] = [];
    function Show() {
      states.push(useTopic([T, "user:9"], () => {}).state);
      return null;
    }
    await render(<Show />);
    await act(async () => {
      world.socket.welcome();
      const id = world.socket.sent.at(-1)?.id;
      world.socket.say({ type: "error", code: "forbidden", message: "No.", topic: "user:9", id });
    });
    expect([...new Set(states)]).toEqual(["subscribing", "denied"]);
  });

  test("with another list of topics it goes on from what it was given, not from the old since", async () => {
    const seen: string[] = [];
    function Show({ topics }: { topics: string[] }) {
      useTopic(topics, (event) => seen.push(event.cursor), { since: { [T]: "k-5" } });
      return null;
    }
    await render(<Show topics={[T]} />);
    await connected();
    await act(async () => world.socket.event(T, "k-6"));
    await render(<Show topics={[T, "user:1"]} />);
    await act(async () => world.socket.event(T, "k-7"));
    expect(seen).toEqual(["k-6", "k-7"]);
  });

  test("hidden and shown again it has missed nothing", async () => {
    const seen: string[] = [];
    function Show() {
      useTopic(T, (event) => seen.push(event.cursor));
      return null;
    }
    await render(<Show />);
    await connected();
    await render(null);
    world.socket.event(T, "k-11");
    world.socket.event(T, "k-12");
    expect(seen).toEqual([]);
    await render(<Show />);
    expect(seen).toEqual(["k-11", "k-12"]);
    expect(subscribes()).toHaveLength(1);
  });
});

describe("TidingsProvider", () => {
  test("with options written inline it is one client over all renders", async () => {
    const clients = new Set<unknown>();
    function Show() {
      clients.add(useTidings());
      return null;
    }
    for (let n = 0; n < 3; n++) {
      await act(async () => {
        root.render(
          <TidingsProvider url="https://api.example/realtime" auth={() => `token ${n}`}>
            <Show />
          </TidingsProvider>,
        );
      });
    }
    expect(clients.size).toBe(1);
  });
});

describe("ConnectionBadge", () => {
  test("has a live region from the first render, and words only for trouble that lasts", async () => {
    vi.useFakeTimers();
    try {
      function Page() {
        useTopic(T, () => {});
        return <ConnectionBadge />;
      }
      await render(<Page />);
      const text = () => host.querySelector(".tidings-badge-text")?.textContent;
      const said = () => host.querySelector('[role="status"]')?.textContent;
      expect(said()).toBe("");
      await connected();
      expect(text()).toBe("Live");
      await act(async () => world.socket.end(1006));
      await act(async () => vi.advanceTimersByTime(999));
      expect(text()).toBe("Live");
      await act(async () => vi.advanceTimersByTime(1));
      expect(text()).toBe("Reconnecting…");
      expect(said()).toBe("");
      await act(async () => vi.advanceTimersByTime(9_000));
      expect(text()).toMatch(/^You're offline\. Showing what we had at /);
      expect(said()).toBe(text());
      const dials = world.sockets.length;
      await act(async () => host.querySelector("button")?.click());
      expect(world.sockets).toHaveLength(dials + 1);
      await connected();
      await act(async () => vi.advanceTimersByTime(1_000));
      expect(text()).toBe("Back online");
      expect(said()).toBe("Back online");
      await act(async () => vi.advanceTimersByTime(2_000));
      expect(text()).toBe("Live");
      expect(said()).toBe("");
    } finally {
      vi.useRealTimers();
    }
  });

  test("is rendered on a server and hydrated without a complaint", async () => {
    const page = (
      <TidingsProvider client={client}>
        <ConnectionBadge />
      </TidingsProvider>
    );
    const html = renderToString(page);
    expect(html).toContain('role="status"');
    const place = document.createElement("div");
    place.innerHTML = html;
    let hydrated: Root | null = null;
    await act(async () => {
      hydrated = hydrateRoot(place, page);
    });
    expect(complaints).toEqual([]);
    await act(async () => (hydrated as Root | null)?.unmount());
  });
});
