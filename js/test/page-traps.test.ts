// @vitest-environment happy-dom
/** What a browser does to a page, by the numbers of the catalogue of pain points (P…) and of the rules (R…). */
import { describe, expect, test, vi } from "vitest";
import { browserEnvironment } from "../src/core/environment.js";
import { HttpWorld } from "./http-world.js";
import {
  clients,
  follow,
  live,
  page,
  pageShow,
  recover,
  say,
  show,
  T,
  world,
} from "./page-stage.js";
import { settled } from "./world.js";

describe("timers", () => {
  test("P16: a hidden page whose timers are late stays: each message arms the watchdog anew", async () => {
    const all = world();
    await live(all);
    show("hidden");
    for (let quiet = 0; quiet < 40; quiet++) {
      all.pass(25_000);
      all.socket.say({ type: "pong", topic: "system" });
    }
    expect(all.sockets).toHaveLength(1);
    expect(all.socket.frames("ping")).toEqual([]);
  });

  test.each([
    [2 ** 31 - 1, 1],
    [2 ** 31, 2],
    [5 * 2 ** 31, 6],
  ])("a time of %i ms, which setTimeout takes for none at all, is waited for", (ms, steps) => {
    vi.useFakeTimers();
    const set = vi.spyOn(globalThis, "setTimeout");
    const run = vi.fn();
    browserEnvironment().timer(ms, run);
    vi.advanceTimersByTime(ms - 1);
    expect(run).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(run).toHaveBeenCalledTimes(1);
    expect(set.mock.calls.length).toBe(steps);
    expect(set.mock.calls.every(([, wait]) => Number(wait) < 2 ** 31)).toBe(true);
  });

  test("and can be taken back in each part of it", () => {
    vi.useFakeTimers();
    const run = vi.fn();
    const stop = browserEnvironment().timer(3 * 2 ** 31, run);
    vi.advanceTimersByTime(2 ** 31 + 5);
    stop();
    vi.advanceTimersByTime(4 * 2 ** 31);
    expect([run.mock.calls.length, vi.getTimerCount()]).toEqual([0, 0]);
  });

  test("credentials that live for a year are renewed before their end, not at once", async () => {
    const all = world();
    const auth = vi.fn(() => "t");
    follow(all, { auth });
    await settled();
    all.socket.welcome({ expires_in_seconds: 366 * 86_400 });
    all.socket.answer();
    await settled();
    expect(auth).toHaveBeenCalledTimes(1);
  });
});

describe("P17: a machine that slept", () => {
  test("asks the link for a sign of life, and dials anew where none comes within three seconds", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "Date"] });
    const all = world();
    const { seen } = await live(all);
    vi.advanceTimersByTime(10_000);
    vi.setSystemTime(Date.now() + 3_600_000);
    vi.advanceTimersByTime(10_000);
    all.pass(250);
    expect(all.socket.frames("ping")).toHaveLength(1);
    all.pass(3_000);
    expect(all.sockets).toHaveLength(2);
    recover(all, "k-11", "k-12");
    expect(all.socket.frames("subscribe")[0]?.since).toEqual({ [T]: "k-10" });
    expect(seen).toEqual(["k-11", "k-12"]);
  });

  test("a link that answers stays", async () => {
    const all = world();
    await live(all);
    show("hidden");
    show("visible");
    all.pass(250);
    all.socket.say({ type: "pong", topic: "system" });
    all.pass(20_000);
    expect(all.sockets).toHaveLength(1);
  });
});

describe("P19: navigator.onLine lies", () => {
  test("offline, with a link that works, changes nothing", async () => {
    const all = world();
    const { client } = await live(all);
    const before = client.status;
    page.onLine = false;
    say(window, "offline");
    expect(all.socket.frames("ping")).toHaveLength(1);
    all.socket.say({ type: "pong", topic: "system" });
    all.pass(20_000);
    expect(all.sockets).toHaveLength(1);
    expect(client.status).toBe(before);
  });

  test("offline keeps nobody from dialling: seldom, and at once when it is online", async () => {
    const all = world();
    await live(all);
    say(window, "offline");
    all.socket.end(1006);
    all.pass(29_999);
    expect(all.sockets).toHaveLength(1);
    all.pass(1);
    expect(all.sockets).toHaveLength(2);
    all.socket.end(1006);
    say(window, "online");
    all.pass(250);
    expect(all.sockets).toHaveLength(3);
  });
});

test("P20: the network changes, told four times: one question, then one new connection", async () => {
  const all = world();
  const { seen } = await live(all);
  for (let turn = 0; turn < 2; turn++) {
    say(window, "online");
    say(page.connection, "change");
    all.pass(50);
  }
  all.pass(200);
  expect(all.socket.frames("ping")).toHaveLength(1);
  all.pass(3_000);
  expect(all.sockets).toHaveLength(2);
  recover(all, "k-11");
  all.pass(20_000);
  expect([all.sockets.length, seen]).toEqual([2, ["k-11"]]);
});

describe("P21: the back/forward cache", () => {
  test("a page that goes there closes, and one that comes back dials at once, with its positions", async () => {
    const all = world();
    const { client, seen, gaps } = await live(all);
    say(window, "pagehide");
    expect([all.socket.closed, client.status.state]).toEqual([1000, "paused"]);
    show("hidden");
    say(document, "freeze");
    all.pass(600_000);
    expect(all.sockets).toHaveLength(1);
    say(document, "resume");
    show("visible");
    pageShow(true);
    expect(all.sockets).toHaveLength(2);
    recover(all, "k-11", "k-12");
    all.pass(20_000);
    expect([all.sockets.length, seen, gaps]).toEqual([2, ["k-11", "k-12"], []]);
  });

  test("a page that was loaded afresh is no page that came back", async () => {
    const all = world();
    await live(all);
    pageShow(false);
    all.pass(5_000);
    expect([all.sockets.length, all.socket.frames("ping")]).toEqual([1, []]);
  });

  test("a frozen page leaves; thawed while hidden it waits, and is whole once it is shown", async () => {
    const all = world();
    const { client, seen, gaps } = await live(all);
    show("hidden");
    say(document, "freeze");
    expect(client.status).toMatchObject({ state: "paused", reason: "frozen" });
    say(document, "resume");
    all.pass(60_000);
    expect(all.sockets).toHaveLength(1);
    show("visible");
    all.pass(250);
    recover(all, "k-11");
    expect([seen, gaps]).toEqual([["k-11"], []]);
  });

  test("a browser that tells no visibilitychange after resume", async () => {
    const all = world();
    const { seen } = await live(all);
    show("hidden");
    say(document, "freeze");
    page.visibility = "visible";
    say(document, "resume");
    all.pass(250);
    recover(all, "k-11");
    expect(seen).toEqual(["k-11"]);
  });
});

describe("P22: a page that nobody has seen yet", () => {
  test("prerendered, it dials when it is activated", async () => {
    Object.assign(page, { prerendering: true, visibility: "hidden" });
    const all = world();
    const { client } = follow(all);
    all.pass(60_000);
    expect([all.sockets.length, client.status.reason]).toEqual([0, "prerendering"]);
    page.prerendering = false;
    say(document, "prerenderingchange");
    show("visible");
    all.pass(250);
    expect(all.sockets).toHaveLength(1);
  });

  test("what it was like when the client was made does not count at its first use", async () => {
    Object.assign(page, { prerendering: true, visibility: "hidden" });
    page.connection.saveData = true;
    const all = world();
    const client = all.client({ pauseAfterMs: 1_000, onError: () => {} });
    clients.push(client);
    Object.assign(page, { prerendering: false, visibility: "visible" });
    page.connection.saveData = false;
    client.subscribe(T, () => {});
    await settled();
    all.socket.welcome();
    all.pass(5_000);
    expect(client.status.state).toBe("live");
  });

  test("dialled in the dark, it dials anew when it is shown", async () => {
    page.visibility = "hidden";
    const all = world();
    follow(all);
    expect(all.sockets).toHaveLength(1);
    show("visible");
    all.pass(250);
    expect([all.sockets.length, all.sockets[0]?.closed]).toEqual([2, 1000]);
  });
});

describe("R17: what the browser says of the network", () => {
  test.each([
    ["save-data", { saveData: true }],
    ["a slow effective type", { effectiveType: "2g" }],
  ])("%s begins on SSE, with time, and looks upward six times as seldom", async (_, hint) => {
    Object.assign(page.connection, hint);
    const http = new HttpWorld();
    const all = world({ fetch: http.fetch });
    follow(all, { transports: ["websocket", "sse"] });
    await vi.waitFor(() => expect(http.requests).toHaveLength(1));
    http.requests[0]?.stream();
    all.pass(9_000);
    expect(all.sockets).toHaveLength(0);
    http.requests[0]?.say({
      type: "welcome",
      topic: "system",
      session: "s",
      heartbeat_seconds: 600,
    });
    await vi.waitFor(() => expect(clients[0]?.status.state).toBe("live"));
    all.pass(59_999);
    expect(all.sockets).toHaveLength(0);
    all.pass(1);
    expect(all.sockets).toHaveLength(1);
  });

  test("a network that gets better is used at once", async () => {
    page.connection.saveData = true;
    const http = new HttpWorld();
    const all = world({ fetch: http.fetch });
    follow(all, { transports: ["websocket", "sse"] });
    await vi.waitFor(() => expect(http.requests).toHaveLength(1));
    http.requests[0]?.stream();
    http.requests[0]?.say({ type: "welcome", topic: "system", session: "s" });
    await vi.waitFor(() => expect(clients[0]?.status.state).toBe("live"));
    page.connection.saveData = false;
    say(page.connection, "change");
    expect(all.sockets).toHaveLength(1);
  });
});

describe("R18: a hidden page", () => {
  test("stays by default", async () => {
    const all = world();
    await live(all);
    show("hidden");
    for (let quiet = 0; quiet < 100; quiet++) {
      all.pass(25_000);
      all.socket.say({ type: "pong", topic: "system" });
    }
    expect([all.sockets.length, all.socket.closed]).toEqual([1, null]);
  });

  test("pauses where the application wants it, and catches up by its positions, with no gap told", async () => {
    const all = world();
    const { client, seen, gaps } = await live(all, { pauseAfterMs: 30_000 });
    show("hidden");
    all.pass(29_999);
    expect(client.status.state).toBe("live");
    all.pass(1);
    expect(client.status).toMatchObject({ state: "paused", reason: "hidden" });
    expect(all.socket.closed).toBe(1000);
    all.pass(600_000);
    expect(all.sockets).toHaveLength(1);
    show("visible");
    all.pass(250);
    recover(all, "k-11", "k-12");
    expect(all.socket.frames("subscribe")[0]?.since).toEqual({ [T]: "k-10" });
    expect([seen, gaps]).toEqual([["k-11", "k-12"], []]);
  });

  test("shown again in time it has noticed nothing", async () => {
    const all = world();
    const { client } = await live(all, { pauseAfterMs: 30_000 });
    show("hidden");
    all.pass(20_000);
    show("visible");
    all.pass(250);
    all.socket.say({ type: "pong", topic: "system" });
    all.pass(29_000);
    expect([client.status.state, all.sockets.length]).toEqual(["live", 1]);
  });
});
