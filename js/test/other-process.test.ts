// Two processes that share a history: what is posted to a stream's session reaches the other one.
import { type ChildProcess, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Client } from "../src/core/client.js";
import { browserEnvironment } from "../src/core/environment.js";
import type { ConnectOptions } from "../src/core/types.js";

const TIDINGS = fileURLToPath(new URL("../../.venv/bin/tidings", import.meta.url));
const SECRET = "a-secret-for-tests-of-at-least-32-bytes";
const API_KEY = "an-api-key-for-tests-of-at-least-32-bytes";
const SOON = { timeout: 15_000, interval: 10 };
const MANY = Array.from({ length: 250 }, (_, index) => `gift-list:${index}`);

const folder = mkdtempSync(join(tmpdir(), "tidings-"));
const servers: ChildProcess[] = [];
const urls: string[] = [];
const clients: Client[] = [];

beforeAll(async () => {
  if (!existsSync(TIDINGS)) return;
  for (const port of [await freePort(), await freePort()]) {
    const shared = ["--secret", SECRET, "--api-key", API_KEY, "--broker"];
    const options = ["--port", String(port), ...shared, `sqlite:///${join(folder, "history")}`];
    servers.push(spawn(TIDINGS, ["serve", ...options], { stdio: "ignore" }));
    urls.push(`http://127.0.0.1:${port}/realtime`);
    await vi.waitFor(async () => {
      const { ok } = await fetch(new URL("/healthz", urls.at(-1)));
      expect(ok).toBe(true);
    }, SOON);
  }
}, 35_000);

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(() => {
  for (const server of servers) server.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** A client of the first process whose frames for a session all go to the second. */
function connect(options: ConnectOptions) {
  const asked: string[] = [];
  const open = new Set<AbortController>();
  const routed = (async (input: string, init: RequestInit = {}) => {
    const posted = input.includes("/session/");
    asked.push(posted ? "session" : (new URL(input).pathname.split("/").at(-1) ?? ""));
    const own = new AbortController();
    if (!posted) open.add(own);
    const signals = [own.signal, ...(init.signal ? [init.signal] : [])];
    const to = posted ? input.replace(urls[0] ?? "", urls[1] ?? "") : input;
    return fetch(to, { ...init, signal: AbortSignal.any(signals) });
  }) as typeof fetch;
  // Any constructor makes it a page's environment; these clients dial no WebSocket.
  const environment = browserEnvironment({ WebSocket: class {} as never, fetch: routed });
  const client = new Client(
    { url: urls[0] ?? "", auth: token, onError: () => {}, ...options },
    environment,
  );
  clients.push(client);
  const cut = (): void => {
    for (const one of open) one.abort();
    open.clear();
  };
  const seen = new Map<string, unknown[]>();
  const gaps: string[] = [];
  const follow = (topic: string, since?: string): void => {
    seen.set(topic, []);
    client.subscribe(topic, ({ data }) => seen.get(topic)?.push(data.payload), {
      onGap: ({ reason }) => gaps.push(reason),
      since: since ?? null,
    });
  };
  const areLive = (topics: readonly string[]) =>
    vi.waitFor(() => {
      expect(topics.filter((name) => client.topicState(name).state !== "live")).toEqual([]);
    }, SOON);
  return { client, asked, cut, seen, gaps, follow, areLive };
}

/** One event for each of the topics, by the second process. */
async function publish(topics: readonly string[], payload: unknown): Promise<string[]> {
  const events = topics.map((topic) => ({
    topic,
    event: "UPDATED",
    data: { entity_id: "g-7", payload },
  }));
  const response = await fetch(`${urls[1]}/publish`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${API_KEY}` },
    body: JSON.stringify(events),
  });
  const { published } = (await response.json()) as { published: { cursor: string }[] };
  return published.map(({ cursor }) => cursor);
}

describe.skipIf(!existsSync(TIDINGS))(
  "P29: a stream in one process, its session in no other",
  () => {
    test("250 topics are whole by the opening alone, at first and after a cut", async () => {
      const cursors = await publish(MANY, 0);
      const { client, asked, cut, seen, gaps, follow, areLive } = connect({ transports: ["sse"] });
      client.pause();
      MANY.forEach((name, index) => {
        follow(name, cursors[index]);
      });
      client.resume();
      await areLive(MANY);
      await publish(MANY, 1);
      await vi.waitFor(() => expect([...seen.values()].flat()).toHaveLength(250), SOON);
      await publish(MANY, 2);
      cut();
      await publish(MANY, 3);
      await vi.waitFor(() => expect([...seen.values()].flat()).toHaveLength(750), SOON);
      for (const name of MANY) expect(seen.get(name), name).toEqual([1, 2, 3]);
      expect([gaps, asked]).toEqual([[], ["sse", "sse"]]);
    }, 60_000);

    test("what joins later ends whole: by another stream, and at last by polls", async () => {
      const topics = MANY.slice(0, 6);
      const cursors = await publish(topics, "before");
      const { client, asked, seen, gaps, follow } = connect({
        transports: ["sse", "poll"],
      });
      for (const [index, name] of topics.entries()) {
        follow(name, cursors[index]);
        // By polls a topic is live with the first answer, which is held while there is nothing new.
        await vi.waitFor(() => {
          const { transport } = client.status;
          if (transport !== "poll") expect(client.topicState(name).state).toBe("live");
        }, SOON);
      }
      expect(client.status.transport).toBe("poll");
      expect(asked.filter((path) => path === "sse")).toHaveLength(3);
      await publish(topics, "after");
      await vi.waitFor(() => expect([...seen.values()].flat()).toHaveLength(6), SOON);
      for (const name of topics) expect(seen.get(name), name).toEqual(["after"]);
      expect(gaps).toEqual([]);
    }, 30_000);

    test("a publish that finds no session is answered, in time", async () => {
      const timing = { publishMs: 2_000, backoffBaseMs: 100 };
      const { client, asked, follow, areLive } = connect({ transports: ["sse"], timing });
      follow("gift-list:1");
      await areLive(["gift-list:1"]);
      const refused = client.publish("gift-list:1", "UPDATED", { entity_id: "1" });
      await expect(refused).rejects.toMatchObject({
        code: expect.stringMatching(/^(timeout|not_connected)$/),
      });
      expect(asked.filter((path) => path === "session").length).toBeGreaterThan(1);
      await areLive(["gift-list:1"]);
    }, 30_000);
  },
);

function token(): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const grants = { subscribe: ["gift-list:*"], publish: ["gift-list:*"] };
  const claims = { sub: "u-1", exp: Math.floor(Date.now() / 1000) + 600, ...grants };
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
