/** What a page asks of the client beside subscriptions: publishing, HTTP, and the client itself. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { connect } from "../src/core/connect.js";
import { TidingsError } from "../src/core/types.js";
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

describe("publish", () => {
  test("is answered with its cursor, and carries a key and a trace", async () => {
    const world = new World();
    const { client } = await live(world);
    const answer = client.publish(T, "UPDATED", { entity_id: "g-7" });
    const frame = world.socket.sent.at(-1);
    expect(frame).toMatchObject({
      type: "publish",
      topic: T,
      data: { entity_id: "g-7", payload: null },
    });
    expect(frame?.idempotency_key).toMatch(/^[0-9a-f]{32}$/);
    expect(frame?.trace_id).toMatch(/^[0-9a-f]{32}$/);
    world.socket.say({ type: "published", topic: T, cursor: "k-11", id: frame?.id });
    await expect(answer).resolves.toEqual({ cursor: "k-11" });
  });

  test("is refused while there is no connection: nothing is sent later behind one's back", async () => {
    const world = new World();
    const client = world.client();
    const refused = client.publish(T, "UPDATED", { entity_id: "g-7" });
    await expect(refused).rejects.toBeInstanceOf(TidingsError);
    await expect(refused).rejects.toMatchObject({ code: "not_connected" });
    expect(world.sockets).toHaveLength(0);
  });
});

describe("HTTP", () => {
  test("fetch starts a trace and notes the cursors of its signal", async () => {
    const world = new World();
    const client = world.client();
    world.respond = () =>
      new Response("{}", {
        headers: { "Tidings-Cursor": "gift-list:1=k-9, user:1=m-2, bad=1, =k-1" },
      });
    const { signal } = new AbortController();
    await client.fetch("/api/lists/1", { signal, headers: { accept: "text/plain" } });
    const { headers } = world.requests[0]!;
    expect(headers.get("traceparent")).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(headers.get("accept")).toBe("text/plain");
    expect(client.cursorsOf(signal)).toEqual({ "gift-list:1": "k-9", "user:1": "m-2" });
    expect(client.cursorsOf(new AbortController().signal)).toBeNull();
  });

  test("of several responses under one signal the first cursor stands", async () => {
    const client = new World().client();
    const { signal } = new AbortController();
    const note = (value: string) =>
      client.note({ headers: new Headers({ "Tidings-Cursor": value }) }, signal);
    note("a:1=k-1");
    note("a:1=k-5, b:1=k-2");
    expect(client.cursorsOf(signal)).toEqual({ "a:1": "k-1", "b:1": "k-2" });
  });

  test("other origins get no header of ours", async () => {
    const world = new World();
    await world.client().fetch("https://elsewhere.example/x");
    await world.client({ url: "wss://live.example/realtime" }).fetch("https://live.example/x");
    expect(world.requests.map(({ headers }) => headers.has("traceparent"))).toEqual([false, true]);
  });

  test("a mutation has a trace of its own, and a given one is kept", async () => {
    const world = new World();
    const client = world.client();
    const { headers, traceId } = client.mutation();
    await client.fetch("/api", { headers });
    expect(world.requests[0]?.headers.get("traceparent")).toBe(headers.traceparent);
    expect(headers.traceparent).toContain(traceId);
  });
});

describe("connect()", () => {
  test("is inert on a rendering server", async () => {
    const world = new World({ inert: true });
    const client = world.client({ auth: () => "x" });
    const off = client.subscribe(T, () => {});
    client.reconnect();
    off();
    await expect(client.publish(T, "X", { entity_id: "1" })).rejects.toMatchObject({
      code: "not_connected",
    });
    expect(client.status.state).toBe("idle");
    expect(world.sockets).toHaveLength(0);
    expect(world.timers).toBe(0);
  });

  test("shares nothing between two calls on a server", () => {
    expect(connect()).not.toBe(connect());
  });

  test("in a page the same options are the same client, with the newest functions", async () => {
    vi.stubGlobal("window", {});
    const made: string[] = [];
    class Socket {
      onopen = null;
      onmessage = null;
      onerror = null;
      onclose = null;
      constructor(url: string) {
        made.push(url);
      }
      send(): void {}
      close(): void {}
    }
    try {
      const tokens: string[] = [];
      const options = (token: string) => ({
        url: "https://api.example/realtime",
        WebSocket: Socket,
        auth: () => {
          tokens.push(token);
          return token;
        },
      });
      const first = connect(options("old"));
      const second = connect(options("new"));
      expect(second).toBe(first);
      expect(connect({ ...options("x"), name: "other" })).not.toBe(first);
      first.subscribe(T, () => {});
      await vi.waitFor(() => expect(made).toHaveLength(1));
      expect(tokens).toEqual(["new"]);
      first.close();
      expect(connect(options("z"))).not.toBe(first);
    } finally {
      vi.unstubAllGlobals();
    }
  });
});
