// A real Express beside a real `tidings serve`: it is asked who may what, sets cursors, and its events carry the trace.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type ErrorRequestHandler, type Request } from "express";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { Client } from "../src/core/client.js";
import { browserEnvironment } from "../src/core/environment.js";
import type { TidingsEvent } from "../src/core/event.js";
import {
  authorizer,
  type Identity,
  matchTopic,
  parseTraceparent,
  type SessionEvent,
  setCursors,
  TidingsServer,
  tidingsCursor,
  tidingsTrace,
  verifySignature,
  withTrace,
} from "../src/server/index.js";
import { API_KEY, HAS_TIDINGS, type Serving, serve } from "./server-process.js";

const WEBHOOK_SECRET = "a-secret-of-calls-of-at-least-32-bytes";
const SOON = { timeout: 15_000, interval: 10 };
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

let serving: Serving;
let live: TidingsServer;
let site: string;
let server: Server;
const told: SessionEvent[] = [];
const asked: [string, Identity, string][] = [];
const errors: unknown[] = [];
const clients: Client[] = [];

const maySee = async (identity: Identity, topic: string): Promise<boolean> => {
  asked.push(["subscribe", identity, topic]);
  if (topic === "gift-list:broken") throw new Error("the database is away");
  return matchTopic("gift-list:{id}", topic)?.id === identity.claims?.list;
};

function backEnd() {
  const app = express();
  const options = {
    secret: ["an-old-secret-that-is-being-changed-now", WEBHOOK_SECRET],
    connect: ({ token }: { token: string }) =>
      token === "ana" ? { user: "ana", tenant: "t-1", claims: { list: "1" } } : null,
    subscribe: maySee,
    events: (events: readonly SessionEvent[]) => void told.push(...events),
    onError: (error: unknown) => void errors.push(error),
  };
  app.post("/tidings", authorizer(options));
  app.use("/late", express.json(), authorizer(options));
  app.use(tidingsTrace());
  app.use(express.json());
  const shown = (request: Request) => ({
    topics: [`gift-list:${request.params.id}`],
    tenant: "t-1",
  });
  app.get(
    "/lists/:id",
    (_request, response, next) => {
      response.setHeader("Access-Control-Expose-Headers", "X-Other");
      next();
    },
    tidingsCursor(live, shown),
    // As one writes it, without types: the parameters of the route are there.
    tidingsCursor(live, (request) => [`user:${request.params.id && "ana"}`]),
    (_request, response) => void response.json([]),
  );
  const away = new TidingsServer({ url: "http://127.0.0.1:9", key: "k" });
  const unreachable: unknown[] = [];
  app.get(
    "/away",
    tidingsCursor(away, () => ["a:1"], {
      timeoutMs: 100,
      onUnreachable: (error) => unreachable.push(error),
    }),
    (_request, response) => void response.json(unreachable.length),
  );
  const wrong = new TidingsServer({ url: serving.url, key: "wrong" });
  app.get(
    "/wrong",
    tidingsCursor(wrong, () => ["a:1"]),
    (_request, response) => void response.json("read"),
  );
  app.post("/lists/:id", async (request, response) => {
    await Promise.resolve();
    const topic = `gift-list:${request.params.id}`;
    response.json(await live.publish(topic, "ADDED", { entityId: "g", tenant: "t-1" }));
  });
  const onError: ErrorRequestHandler = (error, _request, response, _next) => {
    errors.push(error);
    response.status(500).json({ error: { code: "internal", message: "Something failed." } });
  };
  app.use(onError);
  return app;
}

beforeAll(async () => {
  if (!HAS_TIDINGS) return;
  const early = express();
  server = early.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  site = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  serving = await serve({
    TIDINGS_WEBHOOK_URL: `${site}/tidings`,
    TIDINGS_WEBHOOK_SECRET: WEBHOOK_SECRET,
    TIDINGS_WEBHOOK_CALLS: "connect,subscribe,publish,events",
    TIDINGS_WEBHOOK_FAILURES: "0",
  });
  live = new TidingsServer({ url: serving.url, key: API_KEY });
  early.use(backEnd());
}, 35_000);
beforeEach(() => {
  asked.length = 0;
  errors.length = 0;
});
afterAll(async () => {
  for (const client of clients) client.close();
  await serving?.stop();
  server?.closeAllConnections();
  server?.close();
});

function connect(token: string): Client {
  const environment = browserEnvironment({ WebSocket: class {} as never });
  const options = { url: serving.url, auth: () => token, transports: ["sse" as const] };
  const client = new Client({ ...options, onError: () => {} }, environment);
  clients.push(client);
  return client;
}

function post(path: string, call: unknown, secret = WEBHOOK_SECRET, at = Date.now()) {
  const body = JSON.stringify(call);
  const seconds = Math.floor(at / 1_000);
  const digest = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  const headers = {
    "Content-Type": "application/json",
    "Tidings-Signature": `t=${seconds},v1=${digest}`,
  };
  return new globalThis.Request(`${site}${path}`, { method: "POST", headers, body });
}

describe.skipIf(!HAS_TIDINGS)("Express and tidings serve", () => {
  test("who may what is Express's word, and it is told of sessions", async () => {
    const client = connect("ana");
    const seen: TidingsEvent[] = [];
    client.subscribe("gift-list:1", (event) => seen.push(event));
    client.subscribe("gift-list:2", () => {});
    client.subscribe("gift-list:broken", () => {});
    await vi.waitFor(() => {
      expect(client.topicState("gift-list:1").state).toBe("live");
      expect(client.topicState("gift-list:2").state).toBe("denied");
    }, SOON);
    // What could not be found out is asked again, it is told why, and the others do not suffer.
    expect(client.topicState("gift-list:broken").state).not.toBe("denied");
    expect(errors).toContainEqual(new Error("the database is away"));
    expect(asked[0]?.[1]).toEqual({ user: "ana", tenant: "t-1", claims: { list: "1" } });
    await fetch(`${site}/lists/1`, { method: "POST", headers: { traceparent: TRACEPARENT } });
    await vi.waitFor(() => expect(seen.map(({ trace_id }) => trace_id)).toEqual([TRACE]), SOON);
    client.close();
    await vi.waitFor(() => {
      const events = told.map(({ event, topic }) => [event, topic]);
      expect(events[0]).toEqual(["connected", undefined]);
      expect(events).toContainEqual(["subscribed", "gift-list:1"]);
      expect(events.at(-1)).toEqual(["disconnected", undefined]);
    }, SOON);
  }, 30_000);

  test("credentials that it does not know end the connection", async () => {
    const client = connect("eve");
    client.subscribe("gift-list:1", () => {});
    await vi.waitFor(() => expect(client.status.state).toBe("blocked"), SOON);
  }, 30_000);

  test("a response carries where its topics stand, for pages of other origins too", async () => {
    const cursor = await live.publish("gift-list:7", "ADDED", { entityId: "g", tenant: "t-1" });
    const { headers } = await fetch(`${site}/lists/7`);
    expect(headers.get("Tidings-Cursor")).toMatch(
      new RegExp(`^gift-list:7=${cursor}, user:ana=[a-z0-9]+-0$`),
    );
    expect(headers.get("Access-Control-Expose-Headers")).toBe("X-Other, Tidings-Cursor");
  });

  test("a page is read though the live server is away; a wrong key is a fault", async () => {
    const response = await fetch(`${site}/away`);
    expect([await response.json(), response.headers.has("Tidings-Cursor")]).toEqual([1, false]);
    expect((await fetch(`${site}/wrong`)).status).toBe(500);
  });

  test("a publish without a trace has a new one, and requests do not mix", async () => {
    const client = connect("ana");
    const seen: TidingsEvent[] = [];
    client.subscribe("gift-list:1", (event) => seen.push(event));
    await vi.waitFor(() => expect(client.topicState("gift-list:1").state).toBe("live"), SOON);
    const traces = Array.from({ length: 20 }, (_, n) => (n + 1).toString(16).padStart(32, "0"));
    await Promise.all(
      traces.map((trace) =>
        fetch(`${site}/lists/1`, {
          method: "POST",
          headers: { traceparent: `00-${trace}-00f067aa0ba902b7-01` },
        }),
      ),
    );
    await fetch(`${site}/lists/1`, { method: "POST" });
    await vi.waitFor(() => expect(seen).toHaveLength(21), SOON);
    const found = seen.map(({ trace_id }) => trace_id ?? "");
    expect(new Set(found.slice(0, 20))).toEqual(new Set(traces));
    expect(traces).not.toContain(found[20]);
  });

  test.each([
    ["another secret", { type: "subscribe" }, "another-secret-of-at-least-32-bytes", 0, 400],
    ["an old call", { type: "subscribe" }, WEBHOOK_SECRET, -301_000, 400],
    ["no call", [], WEBHOOK_SECRET, 0, 400],
    ["what is not answered here", { type: "publish", topics: [] }, WEBHOOK_SECRET, 0, 501],
    ["what nobody knows", { type: "toString" }, WEBHOOK_SECRET, 0, 501],
  ])("%s grants nothing", async (_name, call, secret, ms, status) => {
    const response = await fetch(post("/tidings", call, secret, Date.now() + ms));
    expect(response.status).toBe(status);
    expect(await response.json()).toHaveProperty("error.message");
    expect(asked).toEqual([]);
  });

  test("a body that has been read is told to the developer", async () => {
    expect((await fetch(post("/late", { type: "subscribe" }))).status).toBe(500);
    expect(errors).toMatchObject([{ message: expect.stringContaining("before express.json()") }]);
  });

  test("frameworks with fetch's own requests are served too", async () => {
    const one = authorizer({ secret: WEBHOOK_SECRET, subscribe: () => true, ttlSeconds: 30 });
    const identity = { user: "ana", tenant: null, claims: {} };
    const call = { type: "subscribe", identity, topics: ["a:1", "a:2"] };
    const response = await one.fetch(post("/", call));
    expect(await response.json()).toEqual({
      allowed: ["a:1", "a:2"],
      failed: [],
      ttl_seconds: 30,
    });
    const forgot = authorizer({ secret: WEBHOOK_SECRET, subscribe: (() => "yes") as never });
    expect(await (await forgot.fetch(post("/", call))).json()).toEqual({ allowed: [], failed: [] });
  });
});

const VECTORS = JSON.parse(
  readFileSync(new URL("../../spec/vectors/webhook_signatures.json", import.meta.url), "utf8"),
);
test.each(VECTORS.vectors as { name: string; body: string; signature: string; valid: boolean }[])(
  "signature: $name",
  ({ body, signature, valid }) => {
    expect(verifySignature(VECTORS.secret, body, signature, VECTORS.now)).toBe(valid);
  },
);

test("a secret that is too short is refused at once", () => {
  for (const secret of ["short", "", [], [WEBHOOK_SECRET, "short"]]) {
    const make = () => authorizer({ secret, subscribe: () => true });
    expect(make, String(secret)).toThrow("32 bytes");
  }
});

test("topics are taken apart by patterns, and a wildcard is no identifier", () => {
  expect(matchTopic("gift-list:{id}", "gift-list:7")).toEqual({ id: "7" });
  expect(matchTopic("org:{org}:team:{team}", "org:a:team:b")).toEqual({ org: "a", team: "b" });
  for (const other of ["gift-list", "gift-list:7:8", "gift:7", "gift-list:*"]) {
    expect(matchTopic("gift-list:{id}", other), other).toBeNull();
  }
});

test("traceparent is read strictly", () => {
  expect(parseTraceparent(TRACEPARENT)).toBe(TRACE);
  expect(parseTraceparent(`cc-${TRACE}-00f067aa0ba902b7-01-more`)).toBe(TRACE);
  const wrong = [
    "",
    TRACE,
    `ff-${TRACE}-00f067aa0ba902b7-01`,
    `00-${TRACE}-00f067aa0ba902b7-01-more`,
    `00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01`,
    `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `${TRACEPARENT}, ${TRACEPARENT}`,
  ];
  for (const header of wrong) expect(parseTraceparent(header), header).toBeNull();
  expect(withTrace(TRACEPARENT, () => 7)).toBe(7);
});

test("cursors are put behind those that a response has, and exposed once", () => {
  const headers = new Map<string, string>();
  const response = {
    getHeader: (name: string) => headers.get(name),
    setHeader: (name: string, value: string) => headers.set(name, value),
  } as never;
  setCursors(response, "");
  setCursors(response, "a:1=e-1");
  setCursors(response, "a:2=e-2, a:3=e-3");
  expect(Object.fromEntries(headers)).toEqual({
    "Tidings-Cursor": "a:1=e-1, a:2=e-2, a:3=e-3",
    "Access-Control-Expose-Headers": "Tidings-Cursor",
  });
});
