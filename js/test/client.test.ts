import { afterEach, describe, expect, test, vi } from "vitest";
import type { TidingsError } from "../src/core/types.js";
import { settled, World } from "./world.js";

const T = "gift-list:1";

async function live(world: World, options = {}) {
  const client = world.client(options);
  const events: unknown[] = [];
  const gaps: string[] = [];
  const off = client.subscribe(T, (event) => events.push(event.cursor), {
    onGap: (gap) => gaps.push(gap.reason),
  });
  await settled();
  world.socket.welcome();
  world.socket.answer("k-10");
  return { client, events, gaps, off };
}

afterEach(() => vi.restoreAllMocks());

describe("the address", () => {
  test("is the page's own origin unless given", () => {
    const world = new World();
    world.client().subscribe(T, () => {});
    expect(world.socket.url).toBe("wss://app.example/realtime/ws");
  });

  test.each([
    ["/live/", "wss://app.example/live/ws"],
    ["http://api.example:8000/realtime", "ws://api.example:8000/realtime/ws"],
    ["wss://api.example/realtime?x=1", "wss://api.example/realtime/ws?x=1"],
  ])("%s", (url, dialled) => {
    const world = new World();
    world.client({ url }).subscribe(T, () => {});
    expect(world.socket.url).toBe(dialled);
  });

  test("one that is none is a failed dial, not an exception", async () => {
    const world = new World({ base: null });
    const client = world.client({ onError: () => {} });
    client.subscribe(T, () => {});
    await settled();
    expect(client.status.state).toBe("reconnecting");
  });
});

describe("connecting", () => {
  test("dials nothing before something is subscribed to", () => {
    const world = new World();
    const client = world.client();
    client.onStatus(() => {});
    expect(world.sockets).toHaveLength(0);
    expect(world.watched).toBe(0);
    expect(client.status.state).toBe("idle");
  });

  test("many subscribers share one connection and one subscription", async () => {
    const world = new World();
    const client = world.client();
    for (let n = 0; n < 500; n++) client.subscribe(`gift-list:${n % 60}`, () => {});
    await settled();
    world.socket.welcome();
    expect(world.sockets).toHaveLength(1);
    expect(world.socket.frames("subscribe")).toHaveLength(1);
    expect(world.socket.frames("subscribe")[0]?.topics).toHaveLength(60);
  });

  test("the token goes out as the first frame, and stands in no address", async () => {
    const world = new World();
    const client = world.client({ auth: async () => "secret" });
    client.subscribe(T, () => {});
    await settled();
    expect(world.socket.url).not.toContain("secret");
    world.socket.open();
    expect(world.socket.sent).toEqual([{ type: "auth", token: "secret" }]);
  });

  test("auth that throws is a failed try; the signal of a dial that was given up is aborted", async () => {
    const world = new World();
    const signals: AbortSignal[] = [];
    let fail = true;
    const client = world.client({
      onError: () => {},
      auth: ({ signal }) => {
        signals.push(signal);
        if (fail) throw new Error("no network");
        return new Promise(() => {});
      },
    });
    client.subscribe(T, () => {});
    await settled();
    expect(client.status).toMatchObject({ state: "reconnecting", reason: "auth_failed" });
    fail = false;
    world.pass(1_000);
    await settled();
    expect(client.status.state).toBe("connecting");
    client.close();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
  });

  test("ready() waits for live, and rejects where that will not be", async () => {
    const world = new World();
    const client = world.client();
    client.subscribe(T, () => {});
    const ready = client.ready();
    await settled();
    world.socket.welcome();
    await expect(ready).resolves.toBeUndefined();
    client.close();
    await expect(client.ready()).rejects.toMatchObject({ code: "closed" });
    const aborted = AbortSignal.abort(new Error("enough"));
    await expect(new World().client().ready({ signal: aborted })).rejects.toThrow("enough");
  });

  test("a dead socket is detached at once, and what it says later is not heard", async () => {
    const world = new World();
    const { client, events } = await live(world);
    const old = world.socket;
    world.pass(35_000); // no sign of life: a probe
    expect(old.sent.at(-1)).toEqual({ type: "ping" });
    world.pass(3_000); // no answer: another dial, though the old socket has not closed
    expect(world.sockets).toHaveLength(2);
    expect(old.closed).toBe(4408);
    expect(old.onmessage).toBeNull();
    old.event(T, "k-11");
    old.end(1000);
    expect(events).toEqual([]);
    world.socket.welcome();
    expect(world.socket.frames("subscribe")[0]?.since).toEqual({ [T]: "k-10" });
    expect(client.status.state).toBe("live");
  });

  test("the page goes away and comes back", async () => {
    const world = new World();
    const { events } = await live(world);
    world.tell("page_hide");
    expect(world.socket.closed).toBe(1000); // a page may not send 1001
    world.tell("page_show");
    expect(world.sockets).toHaveLength(2);
    world.socket.welcome();
    world.socket.answer();
    world.socket.event(T, "k-11");
    expect(events).toEqual(["k-11"]);
  });

  test("a limit of attempts leads to failed, and reconnect() out of it", async () => {
    const world = new World();
    const errors: string[] = [];
    const client = world.client({ attemptsLimit: 2, onError: ({ code }) => errors.push(code) });
    client.subscribe(T, () => {});
    for (let dial = 0; dial < 3; dial++) {
      world.socket.end(1006);
      world.pass(60_000);
    }
    expect(client.status).toMatchObject({ state: "failed", attempt: 2 });
    expect(world.sockets).toHaveLength(3);
    expect(errors).toEqual(["disconnected", "failed"]);
    client.reconnect();
    world.socket.welcome();
    expect(client.status).toMatchObject({ state: "live", attempt: 0 });
  });
});

describe("a long outage", () => {
  test("has one dial at a time and one line in the console", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    const world = new World();
    await live(world);
    world.socket.end(1006);
    let open = 0;
    for (let second = 0; second < 600; second++) {
      world.pass(1_000);
      const undecided = world.sockets.filter(({ closed, onclose }) => closed === null && onclose);
      open = Math.max(open, undecided.length);
      if (second % 2 === 1) for (const socket of undecided) socket.end(1006);
    }
    expect(open).toBe(1);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(error).not.toHaveBeenCalled();
    expect(world.sockets.length).toBeLessThan(60);
  });
});

describe("handlers", () => {
  test("one that throws is told, and the others are called", async () => {
    const world = new World();
    const errors: TidingsError[] = [];
    const client = world.client({ onError: (error) => errors.push(error) });
    const seen: string[] = [];
    client.subscribe(T, () => {
      throw new Error("mine");
    });
    client.subscribe(T, () => seen.push("second"));
    await settled();
    world.socket.welcome();
    world.socket.answer();
    world.socket.event(T, "k-1");
    expect(seen).toEqual(["second"]);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ code: "handler_failed", topic: T });
    expect(errors[0]?.cause).toMatchObject({ message: "mine" });
  });

  test("may leave, join and close while they are called", async () => {
    const world = new World();
    const client = world.client();
    const seen: string[] = [];
    const offs: (() => void)[] = [];
    offs.push(
      client.subscribe(T, () => {
        seen.push("first");
        offs[1]?.();
        client.subscribe("gift-list:2", () => {});
      }),
    );
    offs.push(client.subscribe(T, () => seen.push("second")));
    await settled();
    world.socket.welcome();
    world.socket.answer();
    world.socket.event(T, "k-1");
    expect(seen).toEqual(["first"]);
    await settled();
    expect(world.socket.frames("subscribe").at(-1)?.topics).toEqual(["gift-list:2"]);
    client.close();
    expect(world.timers).toBe(0);
    expect(world.watched).toBe(0);
  });

  test("are not called while one is at work", async () => {
    const world = new World();
    const { client } = await live(world);
    world.socket.event(T, "k-11");
    world.socket.event(T, "k-12");
    const trace: string[] = [];
    client.subscribe(
      T,
      (event) => {
        trace.push(`begin ${event.cursor}`);
        client.subscribe("gift-list:2", () => {})();
        trace.push(`end ${event.cursor}`);
      },
      { since: "k-10" },
    );
    await settled();
    expect(trace).toEqual(["begin k-11", "end k-11", "begin k-12", "end k-12"]);
  });

  test("10,000 comings and goings leave nothing behind", async () => {
    const world = new World();
    const { client, off } = await live(world);
    for (let n = 0; n < 10_000; n++) {
      const leave = client.subscribe(`gift-list:${n % 100}`, () => {});
      leave();
      leave();
    }
    off();
    await settled();
    world.pass(10_000);
    expect(client.debug()).toMatchObject({ subscribers: 0, topics: {} });
    world.pass(30_000);
    expect(client.status.state).toBe("idle");
    expect(world.timers).toBe(0);
  });

  test("frames that cannot be read harm nothing", async () => {
    const world = new World();
    const { client, events } = await live(world);
    for (const text of ["", "{", "null", "[]", "7", '"x"', "{}", '{"type":"constructor"}']) {
      world.socket.say(text);
    }
    world.socket.onmessage?.({ data: new ArrayBuffer(4) } as never);
    world.socket.event(T, "k-11");
    expect(events).toEqual(["k-11"]);
    expect(client.status.state).toBe("live");
  });

  test("a gap is told once", async () => {
    const world = new World();
    const { gaps } = await live(world);
    world.socket.end(1006);
    world.pass(1_000);
    world.socket.welcome();
    world.socket.say({
      type: "subscribed",
      topic: "system",
      topics: { [T]: { cursor: "z-1", recovered: false, reason: "epoch_changed" } },
      id: world.socket.sent.at(-1)?.id,
    });
    expect(gaps).toEqual(["epoch_changed"]);
  });
});

describe("status", () => {
  test("is frozen, the same object until it changes, and tells of its listener's failures", async () => {
    const world = new World();
    const errors: string[] = [];
    const client = world.client({ onError: ({ code }) => errors.push(code) });
    const states: string[] = [];
    const listener = () => {
      throw new Error("listener");
    };
    client.onStatus(listener);
    const off = client.onStatus(({ state }) => states.push(state));
    const before = client.status;
    expect(client.status).toBe(before);
    expect(Object.isFrozen(before)).toBe(true);
    client.subscribe(T, () => {});
    world.socket.welcome();
    expect(states).toEqual(["connecting", "live"]);
    expect(errors).toEqual(["handler_failed", "handler_failed"]);
    off();
    off();
    world.socket.end(1006);
    expect(states).toEqual(["connecting", "live"]);
    expect(client.status).toMatchObject({
      everLive: true,
      lastLiveAt: world.time,
      transport: null,
    });
    expect(client.status.nextTryAt).toBe(world.time + 500);
  });

  test("of a topic: subscribing, live, denied, idle", async () => {
    const world = new World();
    const client = world.client({ onError: () => {} });
    const states: string[] = [];
    client.subscribe("user:9", () => {}, { onState: ({ state }) => states.push(state) });
    expect(client.topicState("user:9").state).toBe("subscribing");
    expect(client.topicState("user:8")).toEqual({ state: "idle", error: null });
    world.socket.welcome();
    const id = world.socket.sent.at(-1)?.id;
    world.socket.say({ type: "error", code: "forbidden", message: "No.", topic: "user:9", id });
    expect(states).toEqual(["denied"]);
    const denied = client.topicState("user:9");
    expect(denied).toEqual({ state: "denied", error: { code: "forbidden", message: "No." } });
    expect(client.topicState("user:9")).toBe(denied);
  });
});
