/** The kit for users' tests: the real client, in a world that the test moves. Without a page. */

import { readFileSync } from "node:fs";
import { build } from "esbuild";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { TidingsEvent } from "../src/core/event.js";
import type { Gap } from "../src/core/types.js";
import {
  createTestLive,
  ErrorCode,
  type TestLive,
  UnrecoveredReason,
} from "../src/testing/index.js";
import { FakeTime } from "../src/testing/time.js";

const T = "gift-list:1";
let live: TestLive;

function follow(topics: string | string[] = T, since?: string) {
  const events: TidingsEvent[] = [];
  const gaps: Gap[] = [];
  const onGap = (gap: Gap) => gaps.push(gap);
  const off = live.subscribe(topics, (event) => events.push(event), {
    since: since ?? null,
    onGap,
  });
  return { events, gaps, off, names: () => events.map(({ event }) => event) };
}
const sent = (type: string) =>
  live.frames.filter(({ from, frame }) => from === "client" && frame.type === type);

afterEach(() => {
  live.close();
  vi.useRealTimers();
});

describe("emit", () => {
  test("whoever is subscribed is called before it returns, though nothing was awaited", () => {
    live = createTestLive();
    const one = follow();
    const two = follow("gift-list:2");
    const event = live.emit(T, "ADDED", { id: 7, name: "A kite" });
    expect(one.events).toEqual([event]);
    expect(two.events).toEqual([]);
    expect(event).toEqual({
      topic: T,
      event: "ADDED",
      data: {
        entity_id: "7",
        payload: { id: 7, name: "A kite" },
        timestamp: "2026-11-23T15:00:00.000Z",
      },
      cursor: "test1-1",
    });
    expect(live.status.state).toBe("live");
    expect(live.topics).toEqual([T, "gift-list:2"]);
    expect(sent("subscribe")).toHaveLength(1);
    expect(live.cursor(T)).toBe("test1-1");
    expect(live.position(T)).toBe("test1-1");
  });

  test("sets what it is asked to, and hands over a copy as JSON has it", () => {
    live = createTestLive();
    const { events } = follow();
    const payload = { at: new Date(0), inner: { n: 1 } };
    live.emit(T, "RENAMED", payload, {
      entityId: "e",
      userId: "ana",
      traceId: "t",
      version: 2,
    });
    payload.inner.n = 2;
    const said = live.frames.at(-1)?.frame;
    expect(said).toEqual(events[0]);
    expect(events[0]).toMatchObject({
      trace_id: "t",
      version: 2,
      data: {
        entity_id: "e",
        user_id: "ana",
        payload: { at: "1970-01-01T00:00:00.000Z", inner: { n: 1 } },
      },
    });
    live.emit(T, "DELETED");
    expect(events[1]?.data).toMatchObject({ entity_id: "entity", payload: null });
  });

  test("is the same in every run", () => {
    const run = () => {
      live = createTestLive();
      follow();
      live.settle();
      void live.publish(T, "ADDED", { entity_id: "g" });
      live.emit(T, "UPDATED");
      live.drop(100);
      live.advance(100);
      const { frames } = live;
      live.close();
      return frames;
    };
    const first = run();
    expect(first.length).toBeGreaterThan(8);
    expect(run()).toEqual(first);
  });

  test("what is no topic is the test's mistake", () => {
    live = createTestLive();
    expect(() => live.emit("gift-list", "ADDED")).toThrow('"gift-list" is not a topic');
  });

  test("one that has left, and one that came with what it has", () => {
    live = createTestLive();
    const early = follow();
    live.emit(T, "FIRST");
    early.off();
    live.emit(T, "SECOND");
    expect(early.names()).toEqual(["FIRST"]);
    live.advance(6_000); // the topic lingers for five seconds
    expect(live.topics).toEqual([]);
    const late = follow(T, "test1-0");
    live.settle();
    expect(late.names()).toEqual(["FIRST", "SECOND"]);
  });

  test("wildcards hear each event of their type once", () => {
    live = createTestLive();
    const all = follow("gift-list:*");
    const one = follow();
    live.emit(T, "ADDED");
    live.emit("gift-list:2", "ADDED");
    live.emit("person:1", "ADDED");
    expect(all.events.map(({ topic }) => topic)).toEqual([T, "gift-list:2"]);
    expect(one.events).toHaveLength(1);
  });
});

test("events are typed where their topic's type is registered", () => {
  live = createTestLive();
  const gift = { id: "k", name: "A kite" };
  live.emit("typed-list:1", "ADDED", gift); // registered in types.test.ts
  live.emit("other:1", "ANYTHING", 5);
  // @ts-expect-error: a name that is not registered
  live.emit("typed-list:1", "RENAMED", gift);
  // @ts-expect-error: a payload of another shape
  live.emit("typed-list:1", "ADDED", { title: "A kite" });
  expect(live.cursor("typed-list:1")).toBe("test1-3");
});

describe("the network", () => {
  test("what is emitted while it is down comes once it is back, once and in order", () => {
    live = createTestLive();
    const { events, gaps, names } = follow();
    live.emit(T, "BEFORE");
    live.drop(30_000);
    expect(live.status.state).toBe("reconnecting");
    for (let n = 0; n < 5; n++) live.emit(T, `MISSED_${n}`);
    live.advance(29_999);
    expect(names()).toEqual(["BEFORE"]);
    expect(live.status.state).not.toBe("live");
    live.advance(1);
    expect(live.status.state).toBe("live");
    live.emit(T, "AFTER");
    expect(names()).toEqual(["BEFORE", ...[0, 1, 2, 3, 4].map((n) => `MISSED_${n}`), "AFTER"]);
    expect(new Set(events.map(({ cursor }) => cursor)).size).toBe(7);
    expect(gaps).toEqual([]);
  });

  test("it stays down until it is restored", () => {
    live = createTestLive();
    const { names } = follow();
    live.drop();
    live.advance(3_600_000);
    expect(live.status.state).not.toBe("live");
    live.emit(T, "MISSED");
    live.restore();
    expect(live.status.state).toBe("live");
    expect(names()).toEqual(["MISSED"]);
    live.drop(10);
    live.drop(1_000); // a second drop takes the place of the first
    live.advance(500);
    expect(live.status.state).not.toBe("live");
  });

  test("a connection that is idle for an hour lives", () => {
    live = createTestLive();
    follow();
    live.settle();
    live.advance(3_600_000);
    expect(live.status.state).toBe("live");
    expect(sent("subscribe")).toHaveLength(1);
    expect(live.emit(T, "ADDED").data.timestamp).toBe("2026-11-23T16:00:00.000Z");
  });

  test("the server's closes mean what they mean", () => {
    live = createTestLive();
    const { names } = follow();
    live.settle();
    live.end(1012);
    expect(live.status).toMatchObject({ state: "reconnecting", reason: "restart", code: 1012 });
    live.emit(T, "MISSED");
    live.advance(1_000);
    expect(live.status.state).toBe("live");
    expect(names()).toEqual(["MISSED"]);
    live.end(4403);
    expect(live.status).toMatchObject({ state: "blocked", reason: "forbidden" });
  });

  test("what falls due comes in its order, at its time", () => {
    const time = new FakeTime(1_000);
    live = createTestLive();
    const seen: [string, number][] = [];
    const note = (name: string) => () => seen.push([name, time.now()]);
    time.timer(300, note("c"));
    time.timer(100, () => {
      note("a")();
      time.timer(100, note("b"));
      time.microtask(note("a, at once"));
    });
    time.timer(200, note("b, but earlier"));
    time.timer(250, note("never"))();
    time.timer(1_001, note("later"));
    time.advance(1_000);
    expect(seen).toEqual([
      ["a", 1_100],
      ["a, at once", 1_100],
      ["b, but earlier", 1_200],
      ["b", 1_200],
      ["c", 1_300],
    ]);
    expect(time.now()).toBe(2_000);
  });

  test("time cannot go back", () => {
    live = createTestLive();
    expect(() => live.advance(-1)).toThrow(RangeError);
    expect(() => live.advance(Number.NaN)).toThrow(RangeError);
  });
});

describe("refusals and gaps", () => {
  test("a topic that is denied before, and one that is taken away", () => {
    live = createTestLive();
    live.deny("gift-list:9", ErrorCode.FORBIDDEN, "not yours");
    const never = follow("gift-list:9");
    const taken = follow();
    live.settle();
    expect(live.topicState("gift-list:9")).toEqual({
      state: "denied",
      error: { code: "forbidden", message: "not yours" },
    });
    expect(live.topicState(T).state).toBe("live");
    live.deny(T);
    expect(live.topicState(T).state).toBe("denied");
    live.emit(T, "ADDED");
    live.emit("gift-list:9", "ADDED");
    expect([never.events, taken.events]).toEqual([[], []]);
    expect(live.reports.map(({ topic }) => topic)).toEqual(["gift-list:9", T]);
    live.allow(T);
    const again = follow();
    live.emit(T, "UPDATED");
    expect(again.names().at(-1)).toBe("UPDATED");
  });

  test("a gap is told now, or when the client is back", () => {
    live = createTestLive();
    const { gaps, names } = follow();
    live.settle();
    live.gap(T);
    expect(gaps).toEqual([{ topic: T, reason: "trimmed", cursor: "test1-1" }]);
    expect(live.cursor(T)).toBe("test1-1");
    live.drop(1_000);
    live.emit(T, "LOST");
    live.gap(T, UnrecoveredReason.EPOCH_CHANGED);
    live.emit(T, "KNOWN_BY_THE_REFETCH");
    live.advance(1_000);
    expect(gaps[1]).toEqual({ topic: T, reason: "epoch_changed", cursor: "test2-1" });
    expect(names()).toEqual([]);
    live.emit(T, "AFTER");
    expect(names()).toEqual(["AFTER"]);
    live.drop(1_000);
    live.emit(T, "LOST");
    live.gap(T, UnrecoveredReason.EXPIRED);
    live.advance(1_000);
    expect(gaps[2]).toEqual({ topic: T, reason: "expired", cursor: "test2-4" });
    expect(names()).toEqual(["AFTER"]);
  });

  test("a position that the server never gave", () => {
    live = createTestLive();
    const positions = ["test1-9", "nonsense"];
    const followed = positions.map((since, n) => follow(`gift-list:${n + 1}`, since));
    live.settle();
    expect(followed.map(({ gaps }) => gaps[0]?.reason)).toEqual(["ahead", "bad_cursor"]);
  });

  test("warnings are reported", () => {
    live = createTestLive({ development: true });
    live.warn(T, "Nothing publishes this.");
    follow();
    live.settle();
    expect(live.reports.map(({ code, message }) => [code, message])).toEqual([
      ["topic_warning", `${T}: Nothing publishes this.`],
    ]);
  });

  test("a handler that throws is reported, to the test's own listener too", () => {
    const heard: string[] = [];
    live = createTestLive({ onError: ({ code }) => heard.push(code) });
    live.subscribe(T, () => {
      throw new Error("oops");
    });
    live.emit(T, "ADDED");
    expect(live.reports[0]?.cause).toEqual(new Error("oops"));
    expect(heard).toEqual(["handler_failed"]);
  });
});

describe("publishing", () => {
  test("is answered, comes back under its user and trace, and once under its key", async () => {
    live = createTestLive({ user: "ana" });
    const { events } = follow();
    live.settle();
    const options = { idempotencyKey: "k", traceId: "mine" };
    const data = { entity_id: "g", payload: 1 };
    const first = await live.publish(T, "ADDED", data, options);
    expect(await live.publish(T, "ADDED", data, options)).toEqual(first);
    expect(events).toMatchObject([
      { cursor: first.cursor, trace_id: "mine", data: { user_id: "ana", payload: 1 } },
    ]);
  });

  test("is refused where the topic is denied", async () => {
    live = createTestLive();
    follow();
    live.settle();
    live.deny("chat:1");
    await expect(live.publish("chat:1", "SAID", { entity_id: "1" })).rejects.toMatchObject({
      code: "forbidden",
    });
  });
});

describe("what it stands on", () => {
  test("credentials are asked for, and renewed", async () => {
    const asked: boolean[] = [];
    live = createTestLive({
      auth({ force }) {
        asked.push(force);
        return "token";
      },
    });
    follow();
    await live.ready();
    live.reauth();
    await Promise.resolve().then(() => {});
    await vi.waitFor(() => expect(sent("auth")).toHaveLength(2));
    expect(live.status.state).toBe("live");
    expect(asked).toEqual([false, true]);
    live.end(4401);
    await live.ready();
  });

  test("its own fetch, with a trace, whose positions are noted", async () => {
    const requests: Headers[] = [];
    live = createTestLive({
      fetch: async (_input, init) => {
        requests.push(new Headers(init?.headers));
        return new Response("[]", { headers: { "Tidings-Cursor": `${T}=${live.cursor(T)}` } });
      },
    });
    const { signal } = new AbortController();
    await live.fetch("/api/gifts", { signal });
    expect(requests[0]?.get("traceparent")).toMatch(/^00-0+1-0+2-01$/);
    expect(live.cursorsOf(signal)).toEqual({ [T]: "test1-0" });
  });

  test("fake timers of the runner do not matter", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "queueMicrotask", "Date"] });
    live = createTestLive();
    const { names } = follow();
    live.drop(5_000);
    live.emit(T, "MISSED");
    live.advance(5_000);
    expect(names()).toEqual(["MISSED"]);
  });

  test("without a call that does it, a moment does", async () => {
    live = createTestLive();
    follow();
    await live.ready();
    await vi.waitFor(() => expect(live.topicState(T).state).toBe("live"));
  });

  test("two are two, and a closed one is silent", () => {
    live = createTestLive();
    const other = createTestLive();
    const { events } = follow();
    other.subscribe(T, () => {
      throw new Error("not mine");
    });
    live.emit(T, "ADDED");
    expect(other.reports).toEqual([]);
    other.close();
    other.emit(T, "ADDED");
    live.close();
    live.emit(T, "ADDED");
    live.advance(60_000);
    expect(events).toHaveLength(1);
    expect([live.status.state, other.status.state]).toEqual(["closed", "closed"]);
  });

  test("it imports no runner, no framework and nothing of Node", async () => {
    const { outputFiles, metafile } = await build({
      entryPoints: [new URL("../src/testing/index.ts", import.meta.url).pathname],
      bundle: true,
      write: false,
      metafile: true,
      format: "esm",
      platform: "browser",
      packages: "external",
    });
    expect(outputFiles[0]?.contents.length).toBeGreaterThan(0);
    const outside = Object.values(metafile.outputs).flatMap(({ imports }) => imports);
    expect(outside.filter(({ external }) => external)).toEqual([]);
    const { exports } = JSON.parse(
      readFileSync(new URL("../package.json", import.meta.url), "utf8"),
    );
    expect(exports["./testing"]).toEqual({
      types: "./dist/testing/index.d.ts",
      default: "./dist/testing/index.js",
    });
  });
});
