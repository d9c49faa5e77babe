// @vitest-environment happy-dom
import { afterEach, describe, expect, test, vi } from "vitest";
import { browserEnvironment, isSlowNetwork, type PageSignal } from "../src/core/environment.js";
import { HumaneStatus } from "../src/core/humane.js";
import type { Live } from "../src/core/types.js";
import { event, HttpWorld, WELCOME } from "./http-world.js";
import { World } from "./world.js";

const T = "gift-list:1";
const ALL = { transports: ["websocket", "sse", "poll"] as const };

function page() {
  const http = new HttpWorld();
  const world = new World({ fetch: http.fetch });
  const seen: unknown[] = [];
  const gaps: string[] = [];
  const client = world.client({ ...ALL, onError: () => {} });
  client.subscribe(T, ({ cursor }) => seen.push(cursor), {
    onGap: ({ reason }) => gaps.push(reason),
  });
  return { http, world, client, seen, gaps };
}

/** WebSocket is lost, the code of SSE comes, and its stream is live at k-1. */
async function onSse(all: ReturnType<typeof page>) {
  all.world.socket.end(1006);
  const stream = await vi.waitFor(() => all.http.last("/sse"));
  stream.stream();
  stream.say(WELCOME);
  const topics = { [T]: { cursor: "k-1", recovered: false, reason: "no_cursor" } };
  stream.say({ type: "subscribed", topic: "system", topics, id: stream.body.id });
  await vi.waitFor(() => expect(all.client.topicState(T).state).toBe("live"));
  return stream;
}

const undo: (() => void)[] = [];
afterEach(() => {
  for (const one of undo.splice(0)) one();
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe("the client on the ladder", () => {
  test("goes down to SSE, remembers it, and says so in the details only", async () => {
    const all = page();
    const { now, timer } = all.world.environment;
    const status = new HumaneStatus(all.client as Live, {}, { now, timer, clock: () => "15:02" });
    status.subscribe(() => {});
    const stream = await onSse(all);
    expect(all.client.status.transport).toBe("sse");
    expect(status.get()).toMatchObject({ show: false, detail: "live (slower connection) · sse" });
    stream.say(event(T, "k-2"));
    await vi.waitFor(() => expect(all.seen).toEqual(["k-2"]));
    const next = all.world.client({ ...ALL });
    next.subscribe(T, () => {});
    expect(all.world.sockets).toHaveLength(1); // the next page of the session begins on SSE
  });

  test("moves up beside the stream: the application sees every event once, and no change", async () => {
    const all = page();
    const stream = await onSse(all);
    const states: string[] = [];
    all.client.subscribe(T, () => {}, { onState: ({ state }) => states.push(state) });
    stream.say(event(T, "k-2"));
    await vi.waitFor(() => expect(all.seen).toEqual(["k-2"]));
    all.world.pass(10_000);
    all.world.socket.welcome();
    expect(stream.aborted).toBe(true);
    expect(all.world.socket.frames("subscribe")[0]).toMatchObject({ since: { [T]: "k-2" } });
    all.world.socket.answer();
    all.world.socket.event(T, "k-2");
    all.world.socket.event(T, "k-3");
    expect(all.seen).toEqual(["k-2", "k-3"]);
    expect([states, all.gaps]).toEqual([[], []]);
    expect(all.client.status).toMatchObject({ state: "live", transport: "websocket" });
  });

  test("code that cannot be fetched is a transport that does not work", async () => {
    const { openLater } = await import("../src/core/transports/later.js");
    const lost: unknown[] = [];
    const events = { open() {}, frame() {}, warn() {}, lost: (code: unknown) => lost.push(code) };
    const dial = { environment: new World().environment, url: "/", token: null };
    const begin = { ...dial, subscribe: { type: "subscribe", topics: [T] } as const };
    openLater(() => Promise.reject(new Error("404")), begin, events);
    await vi.waitFor(() => expect(lost).toEqual([null]));
  });

  test("one that is dropped before its code has come never begins", async () => {
    const { openLater } = await import("../src/core/transports/later.js");
    const open = vi.fn();
    const events = { open() {}, frame() {}, warn() {}, lost() {} };
    const dial = { environment: new World().environment, url: "/", token: null };
    const begin = { ...dial, subscribe: { type: "subscribe", topics: [T] } as const };
    const loaded = Promise.resolve(open);
    openLater(() => loaded, begin, events).drop(1000);
    await loaded;
    await Promise.resolve();
    expect(open).not.toHaveBeenCalled();
  });
});

describe("what the browser tells", () => {
  function watched(): PageSignal[] {
    const signals: PageSignal[] = [];
    undo.push(browserEnvironment().watchPage((signal) => signals.push(signal)));
    return signals;
  }

  test.each([
    [{ effectiveType: "2g" }, true],
    [{ effectiveType: "slow-2g" }, true],
    [{ effectiveType: "4g", saveData: true }, true],
    [{ effectiveType: "4g", saveData: false }, false],
    [undefined, false],
  ])("a network of %j is slow: %j", (connection, slow) => {
    vi.stubGlobal("navigator", { connection });
    expect(isSlowNetwork()).toBe(slow);
  });

  test("a network that changes", () => {
    const connection = Object.assign(new EventTarget(), { effectiveType: "4g" });
    vi.stubGlobal("navigator", { connection, onLine: true });
    const signals = watched();
    connection.effectiveType = "2g";
    connection.dispatchEvent(new Event("change"));
    expect(signals).toEqual(["slow_network", "online"]);
  });

  test("a clock that jumped: the machine slept", () => {
    vi.useFakeTimers();
    const signals = watched();
    vi.advanceTimersByTime(60_000);
    expect(signals).toEqual([]);
    vi.setSystemTime(Date.now() + 600_000);
    vi.advanceTimersByTime(10_000);
    expect(signals).toEqual(["thaw"]);
  });

  test("the session's memory, and storage that throws", () => {
    const { recall, remember } = browserEnvironment();
    remember("tidings.test", "sse");
    expect(recall("tidings.test")).toBe("sse");
    const refuse = () => {
      throw new DOMException("SecurityError");
    };
    vi.stubGlobal("sessionStorage", { getItem: refuse, setItem: refuse });
    remember("tidings.test", "poll");
    expect(recall("tidings.test")).toBeNull();
  });
});
