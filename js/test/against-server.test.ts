// The real client against the real server, over what a fetch can reach. It needs the Python environment.
import { type ChildProcess, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Client } from "../src/core/client.js";
import { browserEnvironment, type SocketLike } from "../src/core/environment.js";
import type { ConnectOptions } from "../src/core/types.js";

const TIDINGS = fileURLToPath(new URL("../../.venv/bin/tidings", import.meta.url));
const SECRET = "a-secret-for-tests-of-at-least-32-bytes";
const API_KEY = "an-api-key-for-tests-of-at-least-32-bytes";
const T = "gift-list:1";
const SOON = { timeout: 10_000, interval: 5 };

/** A network that lets no WebSocket through. */
class Blocked implements SocketLike {
  onopen = null;
  onmessage = null;
  onerror = null;
  onclose: ((event: never) => void) | null = null;

  constructor() {
    setTimeout(() => this.onclose?.({ code: 1006 } as never));
  }

  send(): void {}
  close(): void {}
}

let server: ChildProcess;
let url = "";
const clients: Client[] = [];

beforeAll(async () => {
  if (!existsSync(TIDINGS)) return;
  const port = await freePort();
  url = `http://127.0.0.1:${port}/realtime`;
  const options = ["--port", String(port), "--secret", SECRET, "--api-key", API_KEY];
  server = spawn(TIDINGS, ["serve", ...options], { stdio: "ignore" });
  await vi.waitFor(async () => {
    const { ok } = await fetch(new URL("/healthz", url));
    expect(ok).toBe(true);
  }, SOON);
}, 15_000);

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(() => server?.kill("SIGKILL"));

/** A client, what it received, and a switch for the requests that end so. */
function connect(options: ConnectOptions, user = "u-1") {
  const blocked = new Set<string>();
  const streams = new Set<AbortController>();
  const cut = (): void => {
    for (const one of streams) one.abort();
    streams.clear();
  };
  const guarded = (async (input: string, init: RequestInit = {}) => {
    if ([...blocked].some((end) => new URL(input).pathname.endsWith(end))) {
      throw new TypeError("blocked");
    }
    const own = new AbortController();
    streams.add(own);
    const signals = [own.signal, ...(init.signal ? [init.signal] : [])];
    return fetch(input, { ...init, signal: AbortSignal.any(signals) });
  }) as typeof fetch;
  const environment = browserEnvironment({ WebSocket: Blocked, fetch: guarded });
  const reports: string[] = [];
  const all = {
    url,
    auth: () => token(user),
    onError: ({ code }: Error & { code: string }) => reports.push(code),
  };
  const client = new Client({ ...all, ...options }, environment);
  clients.push(client);
  const seen: unknown[] = [];
  const gaps: string[] = [];
  const follow = (topic: string) =>
    client.subscribe(topic, ({ data }) => seen.push(data.payload), {
      onGap: ({ reason }) => gaps.push(reason),
    });
  const isLive = (topic: string) =>
    vi.waitFor(() => expect(client.topicState(topic).state).toBe("live"), SOON);
  return { client, blocked, cut, seen, gaps, follow, isLive, reports };
}

async function publish(topic: string, ...payloads: number[]): Promise<void> {
  const events = payloads.map((payload) => ({
    topic,
    event: "UPDATED",
    data: { entity_id: "g-7", payload },
  }));
  const response = await fetch(`${url}/publish`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${API_KEY}` },
    body: JSON.stringify(events),
  });
  expect(response.status).toBe(200);
}

describe.skipIf(!existsSync(TIDINGS))("with no WebSocket", () => {
  test.each(["sse", "poll"] as const)("%s brings each event once and in order", async (name) => {
    const topic = `gift-list:${name}`;
    const { client, seen, gaps, follow, isLive } = connect({ transports: ["websocket", name] });
    follow(topic);
    await isLive(topic);
    expect(client.status.transport).toBe(name);
    for (let number = 0; number < 30; number += 3)
      await publish(topic, number, number + 1, number + 2);
    await vi.waitFor(() => expect(seen).toHaveLength(30), SOON);
    expect(seen).toEqual(Array.from({ length: 30 }, (_, index) => index));
    follow(`${topic}-later`);
    await isLive(`${topic}-later`);
    await publish(`${topic}-later`, 99);
    await vi.waitFor(() => expect(seen.at(-1)).toBe(99), SOON);
    expect(gaps).toEqual([]);
  });

  test.each(["sse", "poll"] as const)("%s: a topic that is refused is denied", async (name) => {
    const { client, follow, isLive } = connect({ transports: [name] });
    follow("secret:1");
    follow(T);
    await isLive(T);
    await vi.waitFor(() => expect(client.topicState("secret:1").state).toBe("denied"), SOON);
    expect(client.topicState("secret:1").error?.code).toBe("forbidden");
  });

  test.each(["sse", "poll"] as const)("%s: credentials that are refused block", async (name) => {
    const { client, follow } = connect({ transports: [name], auth: () => "no token" });
    follow(T);
    await vi.waitFor(() => expect(client.status.state).toBe("blocked"), SOON);
    expect(client.status).toMatchObject({ reason: "unauthorized", code: 4401 });
  });

  test("sse: a page can publish", async () => {
    const { client, seen, follow, isLive } = connect({ transports: ["sse"] });
    follow(T);
    await isLive(T);
    const { cursor } = await client.publish(T, "ADDED", { entity_id: "g-1", payload: "mine" });
    await vi.waitFor(() => expect(seen).toEqual(["mine"]), SOON);
    expect(client.position(T)).toBe(cursor);
  });

  test("poll: more topics than one request may name", async () => {
    const { client, follow } = connect({ transports: ["poll"] });
    const names = Array.from({ length: 130 }, (_, index) => `gift-list:many-${index}`);
    for (const name of names) follow(name);
    await vi.waitFor(() => {
      expect(names.every((name) => client.topicState(name).state === "live")).toBe(true);
    }, SOON);
  });

  test("through cuts and changes of transport nothing is lost, doubled or out of order", async () => {
    const topic = "gift-list:ladder";
    const timing = { climbMs: 50, climbCapMs: 50, backoffBaseMs: 20, backoffCapMs: 20 };
    const all = connect({ transports: ["sse", "poll"], timing });
    const { client, blocked, cut, seen, gaps, follow, isLive } = all;
    const used = new Set<unknown>();
    client.onStatus(({ transport }) => used.add(transport));
    follow(topic);
    await isLive(topic);
    let number = 0;
    const some = async (): Promise<void> => {
      for (let turn = 0; turn < 10; turn++) await publish(topic, number++, number++);
    };
    for (let round = 0; round < 3; round++) {
      await some();
      blocked.add("/sse");
      cut();
      await some();
      await vi.waitFor(() => expect(client.status.transport).toBe("poll"), SOON);
      await some();
      cut();
      await some();
      blocked.delete("/sse");
      await vi.waitFor(() => expect(client.status.transport).toBe("sse"), SOON);
    }
    await vi.waitFor(() => expect(seen.length).toBeGreaterThanOrEqual(number), SOON);
    expect(seen).toEqual(Array.from({ length: number }, (_, index) => index));
    expect([gaps, [...used]]).toEqual([[], expect.arrayContaining(["sse", "poll"])]);
  }, 30_000);

  test("with everything blocked the page is told to refetch, until something flows", async () => {
    const timing = { backoffBaseMs: 20, backoffCapMs: 20 };
    const { client, blocked, follow, isLive } = connect({ timing });
    blocked.add("/sse").add("/poll");
    follow(T);
    await vi.waitFor(() => expect(client.status.refetching).toBe(true), SOON);
    blocked.delete("/poll");
    await isLive(T);
    expect(client.status).toMatchObject({ transport: "poll", refetching: false });
  });
});

function token(user: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const grants = { subscribe: ["gift-list:*"], publish: ["gift-list:*"] };
  const claims = { sub: user, exp: Math.floor(Date.now() / 1000) + 600, ...grants };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}
