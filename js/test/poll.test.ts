import { describe, expect, test, vi } from "vitest";
import type { SubscribeFrame } from "../src/core/frames.js";
import type { RawFrame } from "../src/core/machine/values.js";
import { openPoll } from "../src/core/transports/poll.js";
import { PollTopics } from "../src/core/transports/poll-topics.js";
import { event, HttpWorld, subscribe } from "./http-world.js";
import { World } from "./world.js";

const A = "gift-list:1";
const B = "user:1";
const PONG = { type: "pong", topic: "system" };

function open(first = subscribe([A]), token: string | null = null) {
  const http = new HttpWorld();
  const world = new World({ fetch: http.fetch });
  const frames: RawFrame[] = [];
  const lost: (number | null)[] = [];
  const link = openPoll(
    { environment: world.environment, url: "/realtime", token, subscribe: first as SubscribeFrame },
    {
      open: () => {},
      frame: (frame) => frames.push(frame ?? {}),
      warn: () => {},
      lost: (code) => lost.push(code),
    },
  );
  return { http, world, link, frames, lost };
}

type Answers = Record<string, { cursor: string | null; recovered: boolean; reason?: string }>;

function subscribed(topics: Answers, id?: number) {
  return { type: "subscribed", topic: "system", topics, ...(id === undefined ? {} : { id }) };
}

/** Wait for the poll of that number, and answer it. */
async function answer({ http }: ReturnType<typeof open>, number: number, ...frames: unknown[]) {
  const request = await vi.waitFor(() => {
    const found = http.requests[number - 1];
    if (found === undefined) throw new Error("not yet");
    return found;
  });
  request.answer(200, { frames });
  return request;
}

const asks = (all: ReturnType<typeof open>, number: number, body: unknown) =>
  vi.waitFor(() => expect(all.http.requests[number - 1]?.body).toEqual(body));

describe("a first question without positions", () => {
  test("is answered at once, which is the welcome; the next goes on at its positions", async () => {
    const all = open();
    await asks(all, 1, { topics: [A], since: {} });
    const none = { cursor: "k-3", recovered: false, reason: "no_cursor" };
    await answer(all, 1, subscribed({ [A]: none }));
    await asks(all, 2, { topics: [A], since: { [A]: "k-3" } });
    expect(all.frames.map(({ type }) => type)).toEqual(["welcome", "pong", "subscribed"]);
    expect(all.frames[2]).toEqual(subscribed({ [A]: none }, 1));
  });

  test("later answers tell events, and of their `subscribed` only what broke", async () => {
    const all = open();
    await answer(all, 1, subscribed({ [A]: { cursor: "k-3", recovered: false } }));
    const kept = subscribed({ [A]: { cursor: "k-3", recovered: true } });
    await answer(all, 2, kept, event(A, "k-4"), event(A, "k-5"));
    await asks(all, 3, { topics: [A], since: { [A]: "k-5" } });
    expect(all.frames.slice(3)).toEqual([PONG, event(A, "k-4"), event(A, "k-5")]);
    const broken = subscribed({
      [A]: { cursor: "n-0", recovered: false, reason: "epoch_changed" },
    });
    await answer(all, 3, broken);
    await asks(all, 4, { topics: [A], since: { [A]: "n-0" } });
    expect(all.frames.slice(6)).toEqual([PONG, broken]);
  });
});

describe("a first question with all positions", () => {
  test("may be held for long, so another one is asked first, and only its coming counts", async () => {
    const all = open(subscribe([A], { [A]: "k-3" }));
    await asks(all, 1, { topics: [A] });
    expect(all.frames).toEqual([]);
    await answer(all, 1, subscribed({ [A]: { cursor: "k-9", recovered: false } }));
    await asks(all, 2, { topics: [A], since: { [A]: "k-3" } });
    expect(all.frames.map(({ type }) => type)).toEqual(["welcome", "pong"]);
    const kept = { cursor: "k-3", recovered: true };
    await answer(all, 2, subscribed({ [A]: kept }), event(A, "k-4"));
    await vi.waitFor(() => expect(all.frames).toHaveLength(5));
    expect(all.frames.slice(3)).toEqual([subscribed({ [A]: kept }, 1), event(A, "k-4")]);
  });
});

describe("a position that is still the newest", () => {
  const kept = { cursor: "k-3", recovered: true };
  const stands = { cursor: "k-3", recovered: false, reason: "no_cursor" };

  test("is told to be followed at once, though the request that follows it is held", async () => {
    const all = open(subscribe([A, B], { [A]: "k-3", [B]: "u-2" }));
    await asks(all, 1, { topics: [A, B] });
    await answer(all, 1, subscribed({ [A]: stands, [B]: { ...stands, cursor: "u-9" } }));
    await asks(all, 2, { topics: [A, B], since: { [A]: "k-3", [B]: "u-2" } });
    expect(all.frames.slice(2)).toEqual([subscribed({ [A]: kept }, 1)]);
    // B has moved on, so the request is answered at once, and A is not told of twice.
    const missed = { cursor: "u-2", recovered: true };
    await answer(all, 2, subscribed({ [A]: kept, [B]: missed }), event(B, "u-9"));
    await asks(all, 3, { topics: [A, B], since: { [A]: "k-3", [B]: "u-9" } });
    expect(all.frames.slice(4)).toEqual([subscribed({ [B]: missed }, 1), event(B, "u-9")]);
  });

  test("so is that of a topic which comes later; the others are not asked about again", async () => {
    const all = open();
    await answer(all, 1, subscribed({ [A]: stands }));
    await asks(all, 2, { topics: [A], since: { [A]: "k-3" } });
    all.link.send(subscribe([B], { [B]: "k-3" }, 2));
    await asks(all, 3, { topics: [B] });
    await answer(all, 3, subscribed({ [B]: stands }));
    await asks(all, 4, { topics: [A, B], since: { [A]: "k-3", [B]: "k-3" } });
    expect(all.frames.at(-1)).toEqual(subscribed({ [B]: kept }, 2));
    expect(all.lost).toEqual([]);
  });
});

describe("topics that come and go", () => {
  test("a new one ends the request under way, whose answer is asked for again", async () => {
    const all = open();
    await answer(all, 1, subscribed({ [A]: { cursor: "k-3", recovered: false } }));
    await asks(all, 2, { topics: [A], since: { [A]: "k-3" } });
    all.link.send(subscribe([B], undefined, 2));
    await asks(all, 3, { topics: [A, B], since: { [A]: "k-3" } });
    expect(all.http.requests[1]?.aborted).toBe(true);
    const both = {
      [A]: { cursor: "k-3", recovered: true },
      [B]: { cursor: "u-0", recovered: false },
    };
    await answer(all, 3, subscribed(both), event(A, "k-4"));
    await asks(all, 4, { topics: [A, B], since: { [A]: "k-4", [B]: "u-0" } });
    expect(all.frames.slice(-2)).toEqual([
      subscribed({ [B]: { cursor: "u-0", recovered: false } }, 2),
      event(A, "k-4"),
    ]);
    expect(all.lost).toEqual([]);
  });

  test("one that went is not told of, nor asked for again", async () => {
    const all = open(subscribe([A, B]));
    const start = { cursor: "k-3", recovered: false };
    await answer(all, 1, subscribed({ [A]: start, [B]: start }));
    await asks(all, 2, { topics: [A, B], since: { [A]: "k-3", [B]: "k-3" } });
    all.link.send({ type: "unsubscribe", topics: [A], id: 2 });
    await answer(all, 2, event(A, "k-4"), event(B, "k-4"));
    await asks(all, 3, { topics: [B], since: { [B]: "k-4" } });
    expect(all.frames.slice(-2)).toEqual([PONG, event(B, "k-4")]);
  });

  test("more than a hundred are asked for in several requests, each on its own", async () => {
    const names = Array.from({ length: 230 }, (_, index) => `gift-list:${index}`);
    const all = open(subscribe(names));
    await vi.waitFor(() => expect(all.http.requests).toHaveLength(3));
    const sizes = all.http.requests.map(({ body }) => (body.topics as string[]).length);
    expect(sizes).toEqual([100, 100, 30]);
    const last = names.slice(200).map((name) => [name, { cursor: "k-1", recovered: false }]);
    await answer(all, 3, subscribed(Object.fromEntries(last)));
    await vi.waitFor(() => expect(all.http.requests).toHaveLength(4));
    expect(all.http.requests[3]?.body.topics).toEqual(names.slice(200));
  });
});

test("what came back with another position meanwhile is not answered by the old request", () => {
  const topics = new PollTopics();
  topics.add([A], { [A]: "k-9" }, 1);
  const asked = topics.question();
  topics.remove([A]);
  topics.add([A], { [A]: "k-3" }, 2);
  const old = subscribed({ [A]: { cursor: "k-9", recovered: true } });
  expect(topics.answer(asked, [old, event(A, "k-10")])).toEqual([]);
  expect(topics.question().since).toEqual({ [A]: "k-3" });
});

describe("refusals", () => {
  test("of a topic answer its question; of one that was held, take it away", async () => {
    const all = open(subscribe([A, B]));
    const no = { type: "error", topic: B, code: "forbidden", message: "No." };
    await answer(all, 1, no, subscribed({ [A]: { cursor: "k-3", recovered: false } }));
    await asks(all, 2, { topics: [A], since: { [A]: "k-3" } });
    expect(all.frames[2]).toEqual({ ...no, id: 1 });
    await answer(all, 2, { ...no, topic: A }, subscribed({}));
    const gone = {
      type: "unsubscribed",
      topic: "system",
      topics: [A],
      reason: "permission_changed",
    };
    await vi.waitFor(() => expect(all.frames.at(-1)).toEqual(gone));
    expect(all.http.requests).toHaveLength(2);
  });

  const ours = { error: { code: "unauthorized", message: "No." } };
  test.each([
    [401, ours, {}, 4401],
    [403, ours, {}, 4403],
    [429, ours, { "Retry-After": "7" }, 4429],
    [503, ours, {}, 4503],
    [500, "", {}, null],
    [200, "<html>", {}, null],
    [200, { other: 1 }, {}, null],
  ])("status %i with %j and %j ends the link with %j", async (status, body, headers, code) => {
    const { http, lost, frames } = open();
    http.last("/poll").answer(status, body, headers as Record<string, string>);
    await vi.waitFor(() => expect(lost).toEqual([code]));
    expect(frames.map((frame) => frame.retry_after_ms)).toEqual(status === 429 ? [7_000] : []);
  });

  test("nothing to ask for is nothing to be welcomed by", async () => {
    const { lost, http } = open(subscribe([]));
    await vi.waitFor(() => expect(lost).toEqual([null]));
    expect(http.requests).toEqual([]);
  });

  test("a publish cannot be made, and is told", async () => {
    const { link, frames } = open();
    const data = { entity_id: "g-7", payload: null };
    link.send({ type: "publish", topic: A, event: "UPDATED", data, id: 7 });
    await vi.waitFor(() => expect(frames[0]).toMatchObject({ code: "unavailable", id: 7 }));
  });
});

describe("life", () => {
  test("a ping asks what is answered at once, beside the request that is held", async () => {
    const all = open();
    await answer(all, 1, subscribed({ [A]: { cursor: "k-3", recovered: false } }));
    await asks(all, 2, { topics: [A], since: { [A]: "k-3" } });
    all.link.send({ type: "ping" });
    await asks(all, 3, { topics: [A] });
    all.frames.length = 0;
    await answer(all, 3, subscribed({ [A]: { cursor: "k-9", recovered: false } }));
    await vi.waitFor(() => expect(all.frames).toEqual([PONG]));
    expect(all.http.requests[1]?.aborted).toBe(false);
  });

  test("new credentials are tried at once, and hold from then on", async () => {
    const all = open(subscribe([A]), "t-1");
    await answer(all, 1, subscribed({ [A]: { cursor: "k-3", recovered: false } }));
    await asks(all, 2, { topics: [A], since: { [A]: "k-3" } });
    all.link.send({ type: "auth", token: "t-2", id: 5 });
    await asks(all, 3, { topics: [A] });
    expect(all.http.requests[2]?.headers.get("Authorization")).toBe("Bearer t-2");
    await answer(all, 3);
    await vi.waitFor(() => expect(all.frames.at(-1)).toMatchObject({ type: "welcome", id: 5 }));
  });

  test("answers that bring nothing at once are asked for once a second", async () => {
    const all = open();
    const none = { cursor: null, recovered: false, reason: "no_history" };
    await answer(all, 1, subscribed({ [A]: none }));
    await answer(all, 2, subscribed({ [A]: none }));
    await vi.waitFor(() =>
      expect(all.frames.filter(({ type }) => type === "pong")).toHaveLength(2),
    );
    expect(all.http.requests).toHaveLength(2);
    all.world.pass(1_000);
    await vi.waitFor(() => expect(all.http.requests).toHaveLength(3));
  });

  test("a drop ends what is held, and nothing is heard any more", async () => {
    const all = open();
    await answer(all, 1, subscribed({ [A]: { cursor: "k-3", recovered: false } }));
    await asks(all, 2, { topics: [A], since: { [A]: "k-3" } });
    all.frames.length = 0;
    all.link.drop(1000);
    expect(all.http.requests[1]?.aborted).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
    expect([all.frames, all.lost]).toEqual([[], []]);
  });
});
