import { expect, test } from "vitest";
import type { Unsubscribe } from "../src/core/types.js";
import { settled, World } from "./world.js";

const T = "gift-list:1";

test("one that leaves and joins again while it is called: each event once (F52)", async () => {
  const world = new World();
  const client = world.client();
  const seen: (string | undefined)[] = [];
  const gaps: string[] = [];
  let off: Unsubscribe = () => {};
  const join = (): void => {
    off = client.subscribe(
      T,
      (event) => {
        seen.push(event.cursor);
        off();
        join();
      },
      { onGap: (gap) => gaps.push(gap.reason) },
    );
  };
  join();
  await settled();
  world.socket.welcome();
  world.socket.answer("k-10");
  const cursors = Array.from({ length: 20 }, (_, index) => `k-${index + 11}`);
  for (const [index, cursor] of cursors.entries()) {
    world.socket.event(T, cursor);
    if (index % 3 === 0) await settled();
  }
  expect(seen).toEqual(cursors);
  expect(gaps).toEqual([]);
  expect(world.socket.frames("subscribe")).toHaveLength(1);
  expect(world.socket.frames("unsubscribe")).toHaveLength(0);
});
