// @vitest-environment happy-dom
import { derived } from "svelte/store";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createTopicStore } from "../../src/store/index.js";
import { connectionStatus, topic, topicStore } from "../../src/svelte/index.js";
import type { Gifts } from "./binding.js";
import { behaves } from "./cases.js";
import { Stage, TOPIC, textOf } from "./stage.js";
import { plainStore, svelteGet, svelteStore } from "./store-binding.js";

behaves(plainStore);
behaves(svelteStore);

describe("a store of one's own", () => {
  let at: Stage;
  beforeEach(() => {
    at = new Stage();
  });
  afterEach(() => at.end());

  test("snapshots are frozen, and the same until something changes", async () => {
    const store = createTopicStore<Gifts>(at.live, {
      topics: TOPIC,
      load: ({ fetch }) => fetch("http://localhost/gifts").then((response) => response.json()),
      sync: "patch",
    });
    expect(store.getSnapshot()).toBe(store.getSnapshot());
    expect(at.api.reads).toBe(0);
    let told = 0;
    const off = store.subscribe(() => {
      told += 1;
    });
    await at.pass(500);
    const before = store.getSnapshot();
    expect(before).toMatchObject({ error: null, isFetching: false, isLive: true });
    told = 0;
    for (let n = 0; n < 100; n++) at.api.change({ id: "kite", name: `n${n}` });
    await at.pass(20);
    expect(told).toBe(1); // R14: a burst is told once
    expect(store.getSnapshot()).not.toBe(before);
    expect(textOf(store.getSnapshot().data)).toBe("kite=n99");
    off();
    off();
    expect(store.getSnapshot().isLive).toBe(false);
  });

  test("P32 data that is there already goes on from its position, without a read", async () => {
    const cursors = { [TOPIC]: at.live.cursor(TOPIC) };
    const store = createTopicStore<Gifts>(at.live, {
      topics: TOPIC,
      load: ({ signal }) => at.load(signal),
      sync: "patch",
      initial: { data: at.api.gifts, cursors },
    });
    at.api.change({ id: "kite", name: "red" });
    store.subscribe(() => {});
    await at.pass(500);
    expect(textOf(store.getSnapshot().data)).toBe("kite=red");
    expect(at.api.reads).toBe(0);
  });

  test("an error is told, what is there stays, and the next fetch may succeed", async () => {
    const store = createTopicStore<Gifts>(at.live, {
      topics: TOPIC,
      load: ({ signal }) => at.load(signal),
    });
    store.subscribe(() => {});
    await at.pass(500);
    at.api.down = true;
    void store.refetch();
    await at.pass(200);
    expect(store.getSnapshot().error).toBeInstanceOf(TypeError);
    expect(textOf(store.getSnapshot().data)).toBe("kite");
    at.api.down = false;
    void store.refetch();
    await at.pass(200);
    expect(store.getSnapshot().error).toBe(null);
  });

  test("topics may follow from the data", async () => {
    const store = createTopicStore<Gifts>(at.live, {
      topics: (gifts) => gifts?.map(({ id }) => `gift:${id}`) ?? null,
      load: ({ signal }) => at.load(signal),
    });
    store.subscribe(() => {});
    await at.pass(500);
    expect(at.live.topics).toEqual(["gift:kite"]);
  });
});

describe("Svelte", () => {
  let at: Stage;
  beforeEach(() => {
    at = new Stage();
  });
  afterEach(() => at.end());

  test("its own functions read the stores, and nothing is left when nobody does", async () => {
    const list = topicStore<Gifts>(
      { topics: TOPIC, load: ({ signal }) => at.load(signal) },
      at.live,
    );
    const names = derived(list, ({ data }) => textOf(data));
    const seen: string[] = [];
    const off = names.subscribe((text) => seen.push(text));
    await at.pass(500);
    expect(seen).toEqual(["…", "kite"]);
    expect(svelteGet(list).isLive).toBe(true);
    off();
    await at.pass(10_000);
    expect(at.live.topics).toEqual([]);
  });

  test("events, the state of their topic, and the connection in words", async () => {
    const events: string[] = [];
    const states: string[] = [];
    const words: string[] = [];
    const off = topic(TOPIC, ({ event }) => events.push(event), {}, at.live).subscribe(
      ({ state }) => states.push(state),
    );
    connectionStatus({}, at.live).subscribe(({ text }) => words.push(text));
    await at.pass(100);
    at.api.change({ id: "kite", name: "red" });
    at.live.deny(TOPIC);
    await at.pass(100);
    expect(events).toEqual(["UPDATED"]);
    expect(states.at(-1)).toBe("denied");
    at.live.drop();
    await at.pass(3_000);
    expect(words.at(-1)).toContain("Reconnecting");
    off();
  });
});
