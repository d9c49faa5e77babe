import { describe, expect, test, vi } from "vitest";
import type { SubscribeFrame } from "../src/core/frames.js";
import type { RawFrame } from "../src/core/machine/values.js";
import { openSse } from "../src/core/transports/sse.js";
import { SseReader } from "../src/core/transports/sse-records.js";
import { event, HttpWorld, subscribe, WELCOME } from "./http-world.js";
import { World } from "./world.js";

const T = "gift-list:1";

function open({ url = "/realtime", token = null as string | null } = {}) {
  const http = new HttpWorld();
  const world = new World({ fetch: http.fetch });
  const frames: (RawFrame | null)[] = [];
  const lost: (number | null)[] = [];
  const warned: string[] = [];
  const link = openSse(
    { environment: world.environment, url, token, subscribe: subscribe([T]) as SubscribeFrame },
    {
      open: () => {},
      frame: (frame) => frames.push(frame),
      warn: (code) => warned.push(code),
      lost: (code) => lost.push(code),
    },
  );
  return { http, world, link, frames, lost, warned };
}

async function welcomed(options = {}) {
  const all = open(options);
  all.http.last("/sse").stream();
  all.http.last("/sse").say(WELCOME);
  await vi.waitFor(() => expect(all.frames).toEqual([WELCOME]));
  all.frames.length = 0;
  return all;
}

describe("the dial", () => {
  test("asks with the first question, without ids, by cookie where there is no token", () => {
    const { http } = open({ url: "wss://api.example/live/?x=1" });
    const { path, query, body, credentials, headers } = http.last("/sse");
    expect([path, query, credentials]).toEqual(["/live/sse", "?x=1&ids=0", "include"]);
    expect(body).toEqual(subscribe([T]));
    expect(headers.has("Authorization")).toBe(false);
  });

  test("a token goes in a header, never in the address", () => {
    const { query, headers, credentials } = open({ token: "t-1" }).http.last("/sse");
    expect(query).toBe("?ids=0");
    expect(headers.get("Authorization")).toBe("Bearer t-1");
    expect(credentials).toBe("same-origin");
  });

  const ours = { error: { code: "forbidden", message: "No." } };
  test.each([
    [401, {}, {}, 4401],
    [403, ours, {}, 4403],
    [403, "<h1>Blocked by your company</h1>", {}, null],
    [429, ours, { "Retry-After": "7" }, 4429],
    [503, ours, {}, 4503],
    [503, "no backend", {}, null],
    [404, {}, {}, null],
    [502, {}, {}, null],
  ])("status %i with %j and %j is the close code %j", async (status, body, headers, code) => {
    const { http, lost, frames } = open();
    http.last("/sse").answer(status, body, headers as Record<string, string>);
    await vi.waitFor(() => expect(lost).toEqual([code]));
    const waits = frames.map((frame) => frame?.retry_after_ms);
    expect(waits).toEqual([status === 429 ? 7_000 : undefined]);
  });

  test("a portal's page, a network that fails, and a stream that ends are lost", async () => {
    const portal = open();
    portal.http.last("/sse").stream("text/html");
    const failed = open();
    failed.http.last("/sse").fail();
    const ended = await welcomed();
    ended.http.last("/sse").end();
    for (const { lost } of [portal, failed, ended]) {
      await vi.waitFor(() => expect(lost).toEqual([null]));
    }
  });

  test("a drop ends the request, and nothing is heard of it any more", async () => {
    const { http, link, lost, frames } = await welcomed();
    link.drop(1000);
    await vi.waitFor(() => expect(http.last("/sse").aborted).toBe(true));
    await new Promise((resolve) => setImmediate(resolve));
    expect([lost, frames]).toEqual([[], []]);
  });
});

describe("the stream", () => {
  test("brings frames in order; comments are signs of life; its end has a code", async () => {
    const { http, frames, lost } = await welcomed();
    const stream = http.last("/sse");
    stream.write(": still here\n\n");
    stream.say(event(T, "k-1"));
    stream.write('event: close\ndata: {"code":1012,"reason":"restart"}\n\n');
    await vi.waitFor(() => expect(lost).toEqual([1012]));
    expect(frames).toEqual([{ type: "pong", topic: "system" }, event(T, "k-1")]);
  });

  test.each([1, 2, 3, 7, 1_000])("may be cut anywhere: %i bytes at a time", (size) => {
    const text =
      "retry: 5\n:x\n\ndata: ä\ndata:  b\r\nid: k\n\nevent: close\ndata:{}\n\ndata: half\n";
    const records: unknown[] = [];
    let comments = 0;
    const reader = new SseReader(
      (record) => records.push(record),
      () => {
        comments += 1;
      },
    );
    for (let at = 0; at < text.length; at += size) reader.push(text.slice(at, at + size));
    expect(records).toEqual([
      { event: "message", data: "ä\n b" },
      { event: "close", data: "{}" },
    ]);
    expect(comments).toBe(1);
  });

  test("a character whose bytes come apart is whole", async () => {
    const { http, frames } = await welcomed();
    const bytes = new TextEncoder().encode('data: {"type":"pong","x":"é"}\n\n');
    const cut = bytes.indexOf(0xc3) + 1;
    const stream = http.last("/sse");
    stream.writeBytes(bytes.slice(0, cut));
    stream.writeBytes(bytes.slice(cut));
    await vi.waitFor(() => expect(frames).toEqual([{ type: "pong", x: "é" }]));
  });
});

describe("what the client says afterwards", () => {
  test("goes to the session, one after the other", async () => {
    const { http, link } = await welcomed({ token: "t-1" });
    link.send(subscribe(["user:1"], undefined, 2));
    link.send({ type: "ping" });
    await vi.waitFor(() => expect(http.last("/session/s-1").body.id).toBe(2));
    await new Promise((resolve) => setImmediate(resolve));
    expect(http.open("/session/s-1")).toHaveLength(1);
    expect(http.last("/session/s-1").headers.get("Authorization")).toBe("Bearer t-1");
    http.last("/session/s-1").answer(202);
    await vi.waitFor(() => expect(http.last("/session/s-1").body).toEqual({ type: "ping" }));
  });

  test("new credentials hold from then on", async () => {
    const { http, link } = await welcomed({ token: "t-1" });
    link.send({ type: "auth", token: "t-2", id: 2 });
    await vi.waitFor(() =>
      expect(http.last("/session/s-1").headers.get("Authorization")).toBe("Bearer t-2"),
    );
  });

  test.each([
    [
      "ours",
      { error: { code: "unknown_session", message: "Not here." } },
      { message: "Not here." },
    ],
    ["a proxy's", "<h1>Not found</h1>", {}],
  ])(
    "a session that is not here, in words that are %s, is told as that",
    async (_, body, words) => {
      const { http, link, frames, lost } = await welcomed();
      link.send(subscribe(["user:1"], undefined, 2));
      await vi.waitFor(() => http.last("/session/s-1").answer(404, body));
      const error = { type: "error", topic: "system", code: "unknown_session", id: 2, ...words };
      await vi.waitFor(() => expect(frames).toEqual([error]));
      expect(lost).toEqual([]);
    },
  );

  test("a refusal answers the frame", async () => {
    const { http, link, frames, lost } = await welcomed();
    link.send(subscribe(["user:1"], undefined, 3));
    await vi.waitFor(() => expect(http.open("/session/s-1")).toHaveLength(1));
    http.last("/session/s-1").answer(400, { error: { code: "bad_frame", message: "No." } });
    const error = { type: "error", topic: "system", code: "bad_frame", message: "No.", id: 3 };
    await vi.waitFor(() => expect(frames.at(-1)).toEqual(error));
    expect(lost).toEqual([]);
  });

  test.each([
    [401, 4401],
    [429, 4429],
    [502, null],
  ])("a probe that is refused with %i is no sign of life", async (status, code) => {
    const { http, link, frames, lost } = await welcomed();
    link.send({ type: "ping" });
    await vi.waitFor(() =>
      http.last("/session/s-1").answer(status, { error: { code: "x", message: "No." } }),
    );
    await vi.waitFor(() => expect(lost).toHaveLength(1));
    expect([lost, frames]).toEqual([[code], []]);
  });

  test("a frame that hangs, while the stream goes on, is lost", async () => {
    const { http, world, link, lost } = await welcomed();
    link.send({ type: "ping" });
    await vi.waitFor(() => http.last("/session/s-1"));
    world.pass(19_999);
    expect(lost).toEqual([]);
    world.pass(1);
    expect(lost).toEqual([null]);
    expect(http.last("/session/s-1").aborted).toBe(true);
  });

  test("one that was answered in time leaves no timer", async () => {
    const { http, world, link } = await welcomed();
    link.send({ type: "ping" });
    await vi.waitFor(() => http.last("/session/s-1").answer(202));
    await vi.waitFor(() => expect(world.timers).toBe(0));
  });

  test("a network that fails is lost", async () => {
    const { http, link, lost } = await welcomed();
    link.send({ type: "ping" });
    await vi.waitFor(() => http.last("/session/s-1").fail());
    await vi.waitFor(() => expect(lost).toEqual([null]));
    expect(http.last("/sse").aborted).toBe(true);
  });
});
