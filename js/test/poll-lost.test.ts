import { expect, test, vi } from "vitest";
import type { SubscribeFrame } from "../src/core/frames.js";
import type { RawFrame } from "../src/core/machine/values.js";
import { openPoll } from "../src/core/transports/poll.js";
import { event, HttpWorld, subscribe } from "./http-world.js";
import { World } from "./world.js";

const A = "gift-list:1";
const HELD_SECONDS_MAX = 25; // by the server

test("a poll that is never answered is asked again, though others are answered (F23)", async () => {
  const http = new HttpWorld();
  const world = new World({ fetch: http.fetch });
  const types: unknown[] = [];
  const lost: (number | null)[] = [];
  const asking = subscribe([A]) as SubscribeFrame;
  const events = {
    open: () => {},
    frame: (frame: RawFrame | null) => types.push(frame?.type),
    warn: () => {},
    lost: (code: number | null) => lost.push(code),
  };
  const { environment } = world;
  const link = openPoll({ environment, url: "/realtime", token: null, subscribe: asking }, events);
  const asked = (count: number) => vi.waitFor(() => expect(http.requests).toHaveLength(count));
  const answer = { [A]: { cursor: "k-3", recovered: false, reason: "no_cursor" } };
  await asked(1);
  http.requests[0]?.answer(200, {
    frames: [{ type: "subscribed", topic: "system", topics: answer }],
  });
  await asked(2);
  link.send({ type: "ping" }); // the doubt of the client's watchdog
  await asked(3);
  http.requests[2]?.answer(200, { frames: [] });
  world.pass(HELD_SECONDS_MAX * 1_000);
  expect(http.requests[1]?.aborted).toBe(false);
  world.pass(10_000);
  expect(http.requests[1]?.aborted).toBe(true);
  await asked(4);
  expect(http.requests[3]?.body).toEqual({ topics: [A], since: { [A]: "k-3" } });
  http.requests[3]?.answer(200, { frames: [event(A, "k-4")] });
  await vi.waitFor(() => expect(types.at(-1)).toBeUndefined());
  await asked(5);
  expect(lost).toEqual([]);
  link.drop(1000);
});
