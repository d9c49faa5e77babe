// @vitest-environment happy-dom
/** What the network does, and what an application may ask for, by the numbers of the catalogue of pain points (P…) and of the rules (R…). */
import { describe, expect, test, vi } from "vitest";
import { HttpWorld } from "./http-world.js";
import { clients, follow, live, recover, T, world } from "./page-stage.js";
import { settled } from "./world.js";

describe("messages", () => {
  test("P3: 500 events in one task are 500 calls, in order", async () => {
    const all = world();
    const { seen } = await live(all);
    const cursors = Array.from({ length: 500 }, (_, index) => `k-${index + 11}`);
    for (const cursor of cursors) all.socket.event(T, cursor);
    expect(seen).toEqual(cursors);
  });

  test("P5: late messages of an old socket are not heard", async () => {
    const all = world();
    const { client, seen } = await live(all);
    const old = all.socket;
    const late = old.onmessage; // as a browser that has queued them
    client.reconnect();
    recover(all, "k-11");
    late?.({ data: JSON.stringify({ topic: T, event: "X", data: {}, cursor: "k-12" }) } as never);
    expect(seen).toEqual(["k-11"]);
  });
});

describe("credentials", () => {
  test("P14: every dial asks, and a second refusal holds still", async () => {
    const all = world();
    const asked: boolean[] = [];
    const auth = ({ force }: { force: boolean }): string => `token-${asked.push(force)}`;
    const { client } = await live(all, { auth });
    all.pass(10_000);
    all.socket.end(1006);
    all.pass(1_000);
    await settled();
    all.socket.open();
    expect(all.socket.sent).toEqual([{ type: "auth", token: "token-2" }]);
    all.socket.end(4401);
    await settled();
    all.socket.end(4401);
    all.pass(600_000);
    expect(asked).toEqual([false, false, true]);
    expect(client.status).toMatchObject({ state: "blocked", reason: "unauthorized" });
  });

  test("P15: twenty topics are one question", async () => {
    const all = world();
    const auth = vi.fn(async () => "t");
    const client = all.client({ auth });
    clients.push(client);
    for (let n = 0; n < 20; n++) client.subscribe(`gift-list:${n}`, () => {});
    await settled();
    all.socket.welcome();
    for (let n = 20; n < 40; n++) client.subscribe(`gift-list:${n}`, () => {});
    await settled();
    expect(auth).toHaveBeenCalledTimes(1);
  });
});

describe("P18: a socket that says nothing", () => {
  test("neither opens nor closes: the next transport after five seconds, and it is forgotten", async () => {
    const http = new HttpWorld();
    const all = world({ fetch: http.fetch });
    follow(all, { transports: ["websocket", "sse"] });
    all.pass(4_999);
    expect(all.socket.closed).toBeNull();
    all.pass(1);
    await vi.waitFor(() => expect(http.open("/sse")).toHaveLength(1));
    expect([all.socket.closed, all.socket.onopen, all.sockets.length]).toEqual([4408, null, 1]);
  });

  test("P23: `close` that never comes is not waited for", async () => {
    const all = world();
    const { client } = await live(all);
    client.reconnect();
    expect([all.sockets.length, all.sockets[0]?.onclose]).toEqual([2, null]);
  });
});

describe("P26: a proxy that keeps an event stream back", () => {
  test("the first time: polls after five seconds, and names the header", async () => {
    const http = new HttpWorld();
    const all = world({ fetch: http.fetch });
    const { client, errors } = follow(all, { transports: ["sse", "poll"] });
    await vi.waitFor(() => expect(http.requests).toHaveLength(1));
    http.requests[0]?.stream();
    await new Promise((resolve) => setImmediate(resolve));
    all.pass(5_000);
    await vi.waitFor(() => expect(http.open("/poll")).toHaveLength(1));
    http.last("/poll").answer(200, { frames: [] });
    await vi.waitFor(() => expect(client.status.transport).toBe("poll"));
    expect(errors.map(({ code }) => code)).toEqual(["stream_buffered"]);
    expect(errors[0]?.message).toContain("X-Accel-Buffering: no");
  });

  test("is told once", async () => {
    const http = new HttpWorld();
    const all = world({ fetch: http.fetch });
    const { errors } = follow(all, { transports: ["sse"] });
    for (let dial = 1; dial <= 3; dial++) {
      await vi.waitFor(() => expect(http.requests).toHaveLength(dial));
      http.requests.at(-1)?.stream();
      await new Promise((resolve) => setImmediate(resolve));
      all.pass(10_000); // to `welcome`
      all.pass(10_000); // the pause
    }
    expect(errors.filter(({ code }) => code === "stream_buffered")).toHaveLength(1);
  });

  test("a stream that was refused, or that nobody answered, is no such thing", async () => {
    for (const answer of [
      (one: HttpWorld) => one.last("/sse").answer(502),
      () => {},
      (one: HttpWorld) => one.last("/sse").stream("text/html"),
    ]) {
      const http = new HttpWorld();
      const all = world({ fetch: http.fetch });
      const { errors } = follow(all, { transports: ["sse"] });
      await vi.waitFor(() => expect(http.requests).toHaveLength(1));
      answer(http);
      await new Promise((resolve) => setImmediate(resolve));
      all.pass(10_000);
      expect(errors.map(({ code }) => code)).toEqual(["disconnected"]);
    }
  });
});

test("P36: what was refused while there was no connection is not sent later", async () => {
  const all = world();
  const { client } = follow(all);
  const refused = client.publish(T, "UPDATED", { entity_id: "1" });
  await expect(refused).rejects.toMatchObject({ code: "not_connected" });
  all.socket.welcome();
  expect(all.socket.frames("publish")).toEqual([]);
});

test("a publish that is larger than the server takes is refused here, in words", async () => {
  const all = world();
  const { client } = await live(all);
  const refused = client.publish(T, "UPDATED", { entity_id: "1", payload: "x".repeat(140_000) });
  await expect(refused).rejects.toMatchObject({ code: "payload_too_large" });
  await expect(refused).rejects.toThrow("publish a reference");
  expect(all.socket.frames("publish")).toEqual([]);
});
