// @vitest-environment happy-dom
/** Changes that wait (R15): kept over a reload, sent in order, each made once, a refused one undone and told. */

import "fake-indexeddb/auto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PLAIN_SCHEDULER } from "../../src/sync/host.js";
import { Layers, withLayers } from "../../src/sync/layers.js";
import { ChangeQueue, type RefusedChange } from "../../src/sync/queue.js";
import {
  type ChangeStorage,
  indexedDbChanges,
  localStorageChanges,
  memoryChanges,
} from "../../src/sync/storage.js";
import { type Gift, optimisticRename, type Rename, Stage, textOf } from "./stage.js";

let at: Stage;
const queues: ChangeQueue[] = [];
beforeEach(() => {
  localStorage.clear();
  at = new Stage();
  at.live.subscribe("gift-list:1", () => {});
});
afterEach(() => {
  for (const queue of queues.splice(0)) queue.close();
  at.end();
});

/** A page, as it is after each load: only the storage is the same. */
function open(storage: ChangeStorage, define = true) {
  const layers = new Layers(PLAIN_SCHEDULER);
  const refused: RefusedChange[] = [];
  const queue = new ChangeQueue({
    live: at.live,
    name: "ana",
    storage,
    onRefused: (one) => refused.push(one),
  });
  queues.push(queue);
  const target = {
    layers,
    follower: () => undefined,
    read: () => at.api.gifts,
    refetch: async () => true,
  };
  const rename = define
    ? queue.define<Gift, Rename, readonly Gift[]>("rename", {
        send: at.rename,
        optimistic: optimisticRename,
        revisionOf: (gifts, { id }) => gifts.find((gift) => gift.id === id)?.rev,
        target: () => target,
      })
    : null;
  return {
    queue,
    refused,
    make: (id: string, name: string) => rename?.({ id, name }).catch((error: Error) => error),
    shown: () => textOf(withLayers(at.api.gifts, layers.get())),
    names: () => queue.get().map(({ variables }) => (variables as Rename).name),
  };
}

describe.each<[string, () => ChangeStorage]>([
  ["localStorage", () => localStorageChanges("ana")],
  ["IndexedDB", () => indexedDbChanges(`ana${Math.random()}`)],
  ["memory", memoryChanges],
])("in %s", (_, makeStorage) => {
  test("what waited is shown again after a reload, and sent in order, each once", async () => {
    const storage = makeStorage();
    at.api.down = true;
    const before = open(storage);
    for (const name of ["one", "two", "three"]) void before.make("kite", name);
    await at.pass(500);
    expect(before.shown()).toBe("kite=three");
    before.queue.close(); // the page goes
    const after = open(storage);
    await at.pass(100);
    expect(after.names()).toEqual(["one", "two", "three"]);
    expect(after.shown()).toBe("kite=three");
    at.api.down = false;
    await at.pass(60_000);
    expect(at.api.made.map(({ name }) => name)).toEqual(["one", "two", "three"]);
    expect(after.names()).toEqual([]);
    expect(await storage.all()).toEqual([]);
  });

  test("a change whose answer was lost is made once, over a reload too", async () => {
    const storage = makeStorage();
    at.api.losesAnswers = true;
    const before = open(storage);
    void before.make("kite", "one");
    await at.pass(3_000);
    expect(before.names()).toEqual(["one"]);
    before.queue.close();
    at.api.losesAnswers = false;
    const after = open(storage);
    await at.pass(10_000);
    expect(after.names()).toEqual([]);
    expect(at.api.made).toEqual([{ id: "kite", name: "one" }]);
    const sent = at.api.requests.filter(({ method }) => method === "PUT");
    expect(sent.length).toBeGreaterThan(1);
    expect(new Set(sent.map(({ headers }) => headers.get("Idempotency-Key"))).size).toBe(1);
    expect(new Set(sent.map(({ headers }) => headers.get("traceparent"))).size).toBe(1);
  });

  test("one refused after a reload is undone and told", async () => {
    const storage = makeStorage();
    at.api.down = true;
    at.api.refused.add("no");
    const before = open(storage);
    void before.make("kite", "no");
    void before.make("kite", "yes");
    await at.pass(500);
    before.queue.close();
    at.api.down = false;
    const after = open(storage);
    await at.pass(10_000);
    expect(after.refused.map(({ variables }) => (variables as Rename).name)).toEqual(["no"]);
    expect(after.shown()).toBe("kite=yes");
  });
});

test("two changes to one thing made offline are no conflict, though the page is loaded anew between them", async () => {
  const storage = memoryChanges();
  at.api.down = true;
  const before = open(storage);
  void before.make("kite", "one");
  void before.make("kite", "two");
  await at.pass(100);
  at.api.latencyMs = 500;
  at.api.down = false;
  before.queue.send();
  await at.pass(2_000);
  while (at.api.made.length === 0) await at.pass(100);
  await at.pass(520); // the first has its answer, and the second is on its way
  before.queue.close();
  const after = open(storage);
  await at.pass(20_000);
  expect(after.refused).toEqual([]);
  expect(at.api.made.map(({ name }) => name)).toEqual(["one", "two"]);
});

test("one made offline upon what somebody else has changed meanwhile is refused", async () => {
  at.api.down = true;
  const page = open(memoryChanges());
  void page.make("kite", "mine");
  await at.pass(100);
  at.api.change({ id: "kite", name: "theirs" });
  at.api.down = false;
  await at.pass(20_000);
  expect(page.refused).toHaveLength(1);
  expect(page.shown()).toBe("kite=theirs");
});

test("a change waits until the page has said what it does", async () => {
  const storage = memoryChanges();
  at.api.down = true;
  const before = open(storage);
  void before.make("kite", "one");
  await at.pass(500);
  before.queue.close();
  at.api.down = false;
  const after = open(storage, false);
  await at.pass(60_000);
  expect(after.names()).toEqual(["one"]);
  expect(at.api.made).toEqual([]);
});

test("what waits is shown as waiting, can be taken back, and its maker hears how it ended", async () => {
  const page = open(memoryChanges());
  at.api.down = true;
  at.api.refused.add("no");
  const made = [page.make("kite", "yes"), page.make("ball", "no"), page.make("doll", "never")];
  let told = 0;
  page.queue.subscribe(() => {
    told += 1;
  });
  await at.pass(20);
  expect(page.queue.get().map(({ state }) => state)).toEqual(["sending", "waiting", "waiting"]);
  expect(page.queue.get()).toBe(page.queue.get());
  page.queue.discard(page.queue.get()[2]?.id ?? "");
  at.api.down = false;
  await at.pass(10_000);
  expect(told).toBeGreaterThan(3);
  expect(await made[0]).toMatchObject({ name: "yes" });
  expect(await made[1]).toMatchObject({ message: "no" });
  expect(await made[2]).toMatchObject({ message: "The change was taken back." });
  expect(at.api.made.map(({ name }) => name)).toEqual(["yes"]);
});

test("the network that comes back is used at once", async () => {
  const page = open(memoryChanges());
  at.api.down = true;
  void page.make("kite", "one");
  await at.pass(120_000);
  at.api.down = false;
  window.dispatchEvent(new Event("online"));
  await at.pass(200);
  expect(page.names()).toEqual([]);
});

test("a full storage costs a change its second life, not its first", async () => {
  const full: ChangeStorage = {
    all: () => Promise.reject(new Error("forbidden")),
    put: () => Promise.reject(new Error("QuotaExceededError")),
    delete: () => Promise.reject(new Error("forbidden")),
  };
  const page = open(full);
  void page.make("kite", "one");
  await at.pass(500);
  expect(at.api.made.map(({ name }) => name)).toEqual(["one"]);
  expect(page.names()).toEqual([]);
});

describe("several tabs", () => {
  const held = new Map<string, Promise<unknown>>();
  beforeEach(() => {
    held.clear();
    const request = async (name: string, run: () => unknown): Promise<unknown> => {
      const running = Promise.resolve(run());
      held.set(name, running);
      void running.then(() => held.delete(name));
      return running;
    };
    const query = async () => ({ held: [...held.keys()].map((name) => ({ name })), pending: [] });
    Object.defineProperty(navigator, "locks", { value: { request, query }, configurable: true });
  });
  afterEach(() => {
    Object.defineProperty(navigator, "locks", { value: undefined, configurable: true });
  });

  test("a change of a tab that is there is sent by that tab alone", async () => {
    const storage = memoryChanges();
    at.api.down = true;
    const one = open(storage);
    void one.make("kite", "one");
    await at.pass(100);
    const two = open(storage);
    await at.pass(100);
    expect(two.names()).toEqual([]);
    at.api.down = false;
    await at.pass(10_000);
    expect(at.api.made).toHaveLength(1);
  });

  test("what a tab left behind is sent by the next", async () => {
    const storage = memoryChanges();
    at.api.down = true;
    const one = open(storage);
    void one.make("kite", "one");
    await at.pass(100);
    one.queue.close();
    await at.pass(10);
    const two = open(storage);
    await at.pass(100);
    expect(two.names()).toEqual(["one"]);
  });
});
