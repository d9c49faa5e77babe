import { describe, expect, test } from "vitest";
import { type Humane, HumaneStatus } from "../src/core/humane.js";
import type { Live } from "../src/core/types.js";
import { World } from "./world.js";

const T = "gift-list:1";

/** A client, its words, and each text that was shown with the time at which it came. */
function watch(options: ConstructorParameters<typeof HumaneStatus>[1] = {}, connect = {}) {
  const world = new World();
  const client = world.client({ onError: () => {}, ...connect });
  const faces: [number, Humane["state"]][] = [];
  const status = new HumaneStatus(client as Live, options, {
    now: () => world.time,
    timer: (ms, run) => world.environment.timer(ms, run),
    clock: () => "15:02",
  });
  let start = world.time;
  let last = status.get().state;
  const off = status.subscribe(() => {
    const { state } = status.get();
    if (last !== state) faces.push([world.time - start, state]);
    last = state;
  });
  client.subscribe(T, () => {});
  const live = () => {
    world.socket.welcome();
    world.socket.answer();
  };
  const restart = () => {
    faces.length = 0;
    start = world.time;
  };
  return { world, client, status, faces, off, live, restart };
}

describe("the words of the connection", () => {
  test("a first load that is quick says nothing", () => {
    const { world, faces, live, status } = watch();
    world.pass(900);
    live();
    world.pass(5_000);
    expect(faces).toEqual([]);
    expect(status.get()).toMatchObject({ show: false, tone: "good", text: "Live" });
  });

  test("a first load that is slow is connecting, and no 'back' follows", () => {
    const { world, faces, live } = watch();
    world.pass(1_500);
    live();
    world.pass(5_000);
    expect(faces).toEqual([
      [1_000, "connecting"],
      [2_000, "quiet"], // what is shown stays a second
    ]);
  });

  test("trouble of a quarter of a second is not seen", () => {
    const { world, faces, live, restart } = watch();
    live();
    restart();
    world.socket.end(1006);
    world.pass(500);
    live();
    world.pass(5_000);
    expect(faces).toEqual([]);
  });

  test("lasting trouble: reconnecting, offline, back, quiet", () => {
    const { world, faces, live, restart, status } = watch();
    live();
    restart();
    world.socket.end(1006);
    world.pass(10_000);
    expect(status.get()).toMatchObject({
      text: "You're offline. Showing what we had at 15:02.",
      announcement: "You're offline. Showing what we had at 15:02.",
      action: "retry",
    });
    world.pass(2_000);
    live();
    world.pass(5_000);
    expect(faces).toEqual([
      [1_000, "reconnecting"],
      [10_000, "offline"],
      [12_000, "back"],
      [14_000, "quiet"],
    ]);
  });

  test("with no transport, but fetching that works: it refreshes, and says so until that fails", async () => {
    const { world, client, live, restart, status, faces } = watch();
    live();
    restart();
    world.socket.end(1006);
    for (let turn = 0; turn < 2; turn++) {
      world.pass(1_000);
      world.socket.end(1006);
    }
    expect(client.status).toMatchObject({ refetching: true, fetchedAt: null });
    await client.fetch("/api/gifts");
    expect(status.get()).toMatchObject({
      state: "refreshing",
      tone: "neutral",
      text: "Live updates can't get through. The page refreshes by itself.",
      action: "retry",
    });
    const fetchedAt = client.status.fetchedAt;
    world.respond = () => new Response("", { status: 502 });
    world.pass(1_000);
    await client.fetch("/api/gifts");
    expect(client.status.fetchedAt).toBe(fetchedAt);
    world.pass(40_000);
    expect(faces.map(([, state]) => state).slice(-2)).toEqual(["refreshing", "offline"]);
  });

  test("while it looks for what carries the events, a page that has answers is not called offline", async () => {
    const { world, client, live, restart, status, faces } = watch();
    live();
    restart();
    world.socket.end(1006);
    world.pass(5_000);
    await client.fetch("/api/gifts");
    world.pass(5_400);
    expect(client.status).toMatchObject({ state: "connecting", refetching: false });
    expect(status.get()).toMatchObject({ state: "reconnecting", text: "Reconnecting…" });
    world.pass(35_000);
    expect(client.status.refetching).toBe(true);
    expect(faces.map(([, state]) => state)).toEqual(["reconnecting", "refreshing", "offline"]);
    live();
    expect(client.status.fetchedAt).toBeNull();
  });

  test("right after coming back to the page there are three seconds", () => {
    const { world, faces, live, restart } = watch();
    live();
    world.tell("page_hide");
    world.pass(60_000);
    restart();
    world.tell("page_show");
    world.pass(2_900);
    expect(faces).toEqual([]);
    world.pass(200);
    expect(faces.at(-1)?.[1]).toBe("reconnecting");
  });

  test("what needs the person is said at once", () => {
    const refused = watch();
    refused.world.socket.end(4401);
    expect(refused.status.get()).toMatchObject({
      state: "action_needed",
      action: "sign_in",
      tone: "bad",
    });
    const forbidden = watch();
    forbidden.world.socket.end(4403);
    expect(forbidden.status.get()).toMatchObject({ state: "action_needed", action: "retry" });
    const failed = watch({}, { attemptsLimit: 0 });
    failed.world.socket.end(1006);
    expect(failed.status.get()).toMatchObject({
      text: "We couldn't reach the server.",
      action: "retry",
    });
  });

  test("other words, and no timers once nobody listens", () => {
    const { world, status, off, client } = watch({
      quietMs: 0,
      words: { connecting: "Verbinde …" },
    });
    world.pass(300); // never less, whatever is asked for
    expect(status.get().text).toBe("Verbinde …");
    off();
    client.close();
    expect(world.timers).toBe(0);
  });
});
