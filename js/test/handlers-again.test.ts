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

test("one that leaves and joins again while it is served what it missed: each event once (F52)", async () => {
  const world = new World();
  const client = world.client();
  const early = client.subscribe(T, () => {});
  await settled();
  world.socket.welcome();
  world.socket.answer("k-10");
  for (const cursor of ["k-11", "k-12", "k-13", "k-14"]) world.socket.event(T, cursor);
  const seen: (string | undefined)[] = [];
  let off: Unsubscribe = () => {};
  const join = (since: string): void => {
    off = client.subscribe(
      T,
      ({ cursor }) => {
        seen.push(cursor);
        if (seen.length > 1) return;
        off();
        join(cursor ?? since);
      },
      { since },
    );
  };
  join("k-11");
  early(); // so that the one that is served is alone
  for (let turn = 0; turn < 5; turn++) await settled();
  expect(seen).toEqual(["k-12", "k-13", "k-14"]);
});

test("one that joins again while an event comes: what it missed and the event, each once (F52)", async () => {
  const world = new World();
  const client = world.client();
  client.subscribe(T, () => {});
  await settled();
  world.socket.welcome();
  world.socket.answer("k-10");
  for (const cursor of ["k-11", "k-12"]) world.socket.event(T, cursor);
  const seen: (string | undefined)[] = [];
  let off: Unsubscribe = () => {};
  const join = (since: string): void => {
    off = client.subscribe(
      T,
      ({ cursor }) => {
        seen.push(cursor);
        if (seen.length > 1) return;
        off();
        join(cursor ?? since);
      },
      { since },
    );
  };
  join("k-11");
  world.socket.event(T, "k-13"); // before the newcomer has had its turn
  for (let turn = 0; turn < 5; turn++) await settled();
  expect(seen).toEqual(["k-12", "k-13"]);
});
