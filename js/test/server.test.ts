// The back end's side against a real `tidings serve`: publish, positions, tokens, and what happens when nobody answers.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client } from "../src/core/client.js";
import { browserEnvironment } from "../src/core/environment.js";
import type { TidingsEvent } from "../src/core/event.js";
import {
  mintToken,
  PublishError,
  Refused,
  TidingsServer,
  Unreachable,
  UsageError,
} from "../src/server/index.js";
import { pauseMs, publishing } from "../src/server/requests.js";
import { API_KEY, HAS_TIDINGS, SECRET, type Serving, serve } from "./server-process.js";

let serving: Serving;
let live: TidingsServer;
let count = 0;
const topic = (): string => `gift-list:server-${++count}`;

beforeAll(async () => {
  if (!HAS_TIDINGS) return;
  serving = await serve();
  live = new TidingsServer({ url: serving.url, key: API_KEY });
}, 35_000);
afterAll(() => serving?.stop());

/** What somebody with this token sees of a topic after `since`. */
async function follow(token: string, name: string, since: string, wanted: number) {
  const environment = browserEnvironment({ WebSocket: globalThis.WebSocket ?? class {} });
  const options = { url: serving.url, auth: () => token, transports: ["sse" as const] };
  const client = new Client({ ...options, onError: () => {} }, environment);
  const seen: TidingsEvent[] = [];
  await new Promise<void>((resolve, reject) => {
    client.subscribe(
      name,
      (event) => {
        seen.push(event);
        if (seen.length === wanted) resolve();
      },
      { since, onState: ({ state }) => state === "denied" && reject(new Error("denied")) },
    );
  }).finally(() => client.close());
  return seen;
}

describe.skipIf(!HAS_TIDINGS)("a back end on Node, with a real server", () => {
  test("what is published arrives as it was given, and its cursors follow one another", async () => {
    const name = topic();
    const since = (await live.cursors([name]))[name] ?? "";
    const when = new Date("2026-11-23T15:00:00Z");
    const first = await live.publish(name, "UPDATED", {
      entityId: 7,
      payload: { name: "Zoë’s kite", due: when },
      userId: "ana",
      timestamp: when,
      traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
      version: 2,
    });
    const [second] = await live.publishMany([{ topic: name, event: "DELETED", entityId: "g" }]);
    expect(await live.cursorHeader([name])).toBe(`${name}=${second}`);
    const token = mintToken(SECRET, { user: "ana", subscribe: ["gift-list:*"] });
    const [event, last] = await follow(token, name, since, 2);
    expect(event).toEqual({
      topic: name,
      event: "UPDATED",
      data: {
        entity_id: "7",
        payload: { name: "Zoë’s kite", due: "2026-11-23T15:00:00.000Z" },
        user_id: "ana",
        timestamp: "2026-11-23T15:00:00.000Z",
      },
      trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
      version: 2,
      cursor: first,
    });
    expect([last?.cursor, last?.data.payload]).toEqual([second, null]);
  });

  test("more than one request takes is sent in several, in order", async () => {
    const name = topic();
    const events = Array.from({ length: 1_201 }, (_, n) => ({
      topic: name,
      event: "ADDED",
      entityId: n,
    }));
    const cursors = await live.publishMany(events);
    expect(cursors.map((cursor) => Number(cursor.split("-")[1]))).toEqual(
      events.map((_, n) => n + 1),
    );
  });

  test("a repeat with the same key stores nothing", async () => {
    const name = topic();
    const options = { entityId: "g", idempotencyKey: "the-same" };
    const first = await live.publish(name, "ADDED", options);
    expect(await live.publish(name, "ADDED", options)).toBe(first);
    expect((await live.cursors([name]))[name]).toBe(first);
  });

  test("tokens: asked for, and made here, are both taken; one that is not good is not", async () => {
    const name = topic();
    const since = (await live.cursors([name]))[name] ?? "";
    await live.publish(name, "ADDED", { entityId: "g" });
    for (const token of [
      await live.token("ana", { subscribe: ["gift-list:*"], ttlSeconds: 60 }),
      mintToken(SECRET, { user: "ana", subscribe: ["gift-list:*"], ttlSeconds: 60 }),
    ]) {
      expect(await follow(token, name, since, 1)).toHaveLength(1);
    }
    const none = mintToken(SECRET, { user: "ana" });
    await expect(follow(none, name, since, 1)).rejects.toThrow("denied");
  });

  test("a tenant's topic is another topic, and a bound key acts for its own", async () => {
    const name = topic();
    await live.publish(name, "ADDED", { entityId: "g", tenant: "t-1" });
    const bound = new TidingsServer({ url: serving.url, key: "bound-key" });
    expect((await bound.cursors([name]))[name]).toMatch(/-1$/);
    expect((await live.cursors([name], { tenant: "t-1" }))[name]).toMatch(/-1$/);
    expect((await live.cursors([name]))[name]).toMatch(/-0$/);
    const foreign = bound.publish(name, "ADDED", { entityId: "g", tenant: "t-2" });
    await expect(foreign).rejects.toMatchObject({ code: "forbidden" });
  });

  test("disconnect, and who is present", async () => {
    expect(await live.disconnect({ user: "nobody" })).toBe(0);
    expect(await live.members(topic())).toEqual([]);
  });

  test("a wrong key is refused, once and for all", async () => {
    const wrong = new TidingsServer({ url: serving.url, key: "wrong" });
    const refused = wrong.publish(topic(), "ADDED", { entityId: "g" });
    await expect(refused).rejects.toThrow(Refused);
    await expect(refused).rejects.toMatchObject({ code: "unauthorized" });
  });
});

describe("an event that cannot be published is told at the caller", () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const good = { topic: "gift-list:1", event: "ADDED", entityId: "g" };
  test.each([
    [{ ...good, topic: "Gift:1" }, "bad_topic", "topic"],
    [{ ...good, event: "" }, "bad_event", "event"],
    [{ ...good, entityId: "" }, "bad_event", "data.entity_id"],
    [{ ...good, entityId: undefined as never }, "bad_event", "data.entity_id"],
    [{ ...good, payload: circular }, "bad_event", "data.payload"],
    [{ ...good, payload: () => 1 }, "bad_event", "data.payload"],
    [{ ...good, payload: { n: 1n } }, "bad_event", 'data.payload, field "n",'],
    [{ ...good, payload: { price: Number.NaN } }, "bad_event", 'data.payload, field "price",'],
    [{ ...good, payload: { tags: new Set(["a"]) } }, "bad_event", 'data.payload, field "tags",'],
    [{ ...good, payload: "x".repeat(102_400) }, "payload_too_large", "data.payload"],
    [{ ...good, version: 0 }, "bad_event", "version"],
    [{ ...good, timestamp: new Date(Number.NaN) }, "bad_event", "data.timestamp"],
    [{ ...good, idempotencyKey: "" }, "bad_event", "idempotency_key"],
  ])("%#", async (event, code, path) => {
    const asked: unknown[] = [];
    const fetch = (async (...call: unknown[]) => asked.push(call)) as never;
    const server = new TidingsServer({ url: "http://127.0.0.1:1", key: "k", fetch });
    const refused = server.publishMany([good, event]);
    await expect(refused).rejects.toThrow(PublishError);
    await expect(refused).rejects.toMatchObject({ code, path });
    expect(asked).toEqual([]);
  });
});

describe("when the server does not answer", () => {
  const servers: Server[] = [];
  afterAll(() => {
    for (const one of servers) {
      one.closeAllConnections();
      one.close();
    }
  });

  /** A server that answers by the number of the request, from 0. */
  async function answering(answer: (n: number, body: string) => [number, string] | null) {
    let asked = 0;
    const bodies: string[] = [];
    const server = createServer(async (request, response) => {
      let body = "";
      for await (const part of request) body += part;
      bodies.push(body);
      const said = answer(asked++, body);
      if (said === null) return void response.destroy();
      response.writeHead(said[0], { "Retry-After": "0" }).end(said[1]);
    });
    servers.push(server);
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, bodies };
  }

  const stored = '{"published":[{"topic":"a:1","cursor":"e-1"}]}';

  test("it is asked again, with the same key, until it does", async () => {
    const { url, bodies } = await answering((n) => (n === 0 ? null : [n < 3 ? 503 : 200, stored]));
    const server = new TidingsServer({ url, key: "k" });
    expect(await server.publish("a:1", "ADDED", { entityId: "g" })).toBe("e-1");
    expect(bodies).toHaveLength(4);
    expect(new Set(bodies).size).toBe(1);
    expect(bodies[0]).toMatch(/"idempotency_key":"[0-9a-f]{32}"/);
  });

  test("it ends in time, and gives the keys", async () => {
    const { url } = await answering(() => [503, "<html>"]);
    const server = new TidingsServer({ url, key: "k", timeoutMs: 400 });
    const began = performance.now();
    const refused = server.publish("a:1", "ADDED", { entityId: "g", idempotencyKey: "mine" });
    await expect(refused).rejects.toThrow(Unreachable);
    await expect(refused).rejects.toMatchObject({ idempotencyKeys: ["mine"] });
    await expect(refused).rejects.toThrow("http_503: is this a Tidings server?");
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  test("nobody there: the reason is said", async () => {
    const server = new TidingsServer({ url: "http://127.0.0.1:1", key: "k", timeoutMs: 200 });
    await expect(server.cursors(["a:1"])).rejects.toThrow(/bad port|ECONNREFUSED/);
  });

  test("what is refused is not asked again, and neither is what is no server of ours", async () => {
    const { url, bodies } = await answering(() => [404, "<html>"]);
    const server = new TidingsServer({ url, key: "k" });
    await expect(server.cursors(["a:1"])).rejects.toMatchObject({ code: "http_404" });
    expect(bodies).toHaveLength(1);
  });

  test("pauses grow to a bound, half of each is chance, and the server's wish counts", () => {
    expect([0, 1, 2, 9].map((attempt) => pauseMs(attempt, 1, null))).toEqual([100, 200, 400, 2000]);
    expect(pauseMs(0, 0, null)).toBe(50);
    expect(pauseMs(0, 0, 3_000)).toBe(3_000);
  });

  test("a request holds 500 events or 512 KiB", () => {
    const event = (bytes: number) => ({ json: "{}", bytes, idempotencyKey: "k" });
    const sizes = (bytes: number[]) =>
      publishing(bytes.map(event)).map(({ idempotencyKeys }) => idempotencyKeys?.length);
    expect(sizes(new Array(501).fill(10))).toEqual([500, 1]);
    expect(sizes([300_000, 300_000, 200_000, 600_000, 1])).toEqual([1, 2, 1, 1]);
    expect(sizes([])).toEqual([]);
  });
});

test("what cannot be right is refused when it is made", () => {
  for (const url of ["", "localhost:8000", "ftp://a", "http://u:p@a"]) {
    expect(() => new TidingsServer({ url, key: "k" }), url).toThrow(UsageError);
  }
  for (const key of ["", "a b", "ä", undefined as never]) {
    expect(() => new TidingsServer({ url: "http://a", key }), key).toThrow(UsageError);
  }
  for (const claims of [{ user: "" }, { user: "a", ttlSeconds: 0 }, { user: "a", tenant: "" }]) {
    expect(() => mintToken(SECRET, claims)).toThrow(UsageError);
  }
  expect(() => mintToken("short", { user: "a" })).toThrow("secret has 5 bytes");
});
