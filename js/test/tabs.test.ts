/** One connection for all tabs: who leads, what each tab hears, and hand-over. F48, F49, P24. */

import { expect, test } from "vitest";
import { Punctual } from "../src/core/tabs/punctual.js";
import type { Message } from "../src/core/tabs/values.js";
import { Browser, publish, type Tab } from "./tabs-stage.js";

const TOPIC = "gift-list:1";

async function five(topic = TOPIC): Promise<{ browser: Browser; tabs: Tab[] }> {
  const browser = new Browser();
  const tabs: Tab[] = [];
  for (let number = 0; number < 5; number++) {
    const tab = browser.open("ana", { visible: number > 0 });
    tab.subscribe(topic);
    tabs.push(tab);
    await browser.pass(300);
  }
  return { browser, tabs };
}

/** Each tab has been given exactly these, in order, and had to fetch nothing anew. */
function heardExactly(tabs: readonly Tab[], numbers: readonly number[]): void {
  expect(tabs.map((tab) => tab.heard)).toEqual(tabs.map(() => numbers));
  expect(tabs.map((tab) => tab.gaps)).toEqual(tabs.map(() => []));
}

test("five tabs have one connection and one subscription, and each hears every event once", async () => {
  const { browser, tabs } = await five();
  expect(tabs.map((tab) => tab.status?.state)).toEqual(Array(5).fill("live"));
  expect(tabs.map((tab) => tab.engine.view.topic(TOPIC)?.state)).toEqual(Array(5).fill("live"));
  expect(browser.dials).toBe(1);
  publish(browser.server("ana"), TOPIC, 1, 2, 3);
  await browser.settle();
  heardExactly(tabs, [1, 2, 3]);
  const asked = browser.server("ana").frames.filter(({ frame }) => "type" in frame);
  expect(asked.filter(({ frame }) => "type" in frame && frame.type === "subscribe")).toHaveLength(
    1,
  );
});

test.each([
  ["is closed", (tab: Tab): void => tab.close()],
  ["crashes", (tab: Tab): void => tab.crash()],
])("the leader %s: another goes on where each tab is", async (_, end) => {
  const { browser, tabs } = await five();
  const [leader, ...others] = tabs as [Tab, ...Tab[]];
  publish(browser.server("ana"), TOPIC, 1);
  await browser.settle();
  end(leader);
  publish(browser.server("ana"), TOPIC, 2, 3);
  await browser.pass(500);
  publish(browser.server("ana"), TOPIC, 4);
  await browser.settle();
  heardExactly(others, [1, 2, 3, 4]);
  expect(browser.dials).toBe(2);
  expect(browser.leaders).toBe(1);
});

test("a leader that froze with its lock is replaced within 3 s, and is a guest when it is back", async () => {
  const { browser, tabs } = await five();
  const [leader, ...others] = tabs as [Tab, ...Tab[]];
  publish(browser.server("ana"), TOPIC, 1);
  await browser.settle();
  leader.freeze();
  publish(browser.server("ana"), TOPIC, 2, 3);
  await browser.pass(2_900);
  publish(browser.server("ana"), TOPIC, 4);
  await browser.settle();
  heardExactly(others, [1, 2, 3, 4]);
  expect(browser.dials).toBe(2);

  leader.thaw();
  await browser.pass(500);
  publish(browser.server("ana"), TOPIC, 5);
  await browser.pass(500);
  heardExactly(tabs, [1, 2, 3, 4, 5]);
  expect(browser.dials).toBe(2);
  expect(tabs.map((tab) => tab.status?.state)).toEqual(Array(5).fill("live"));
});

test("a leader that is told that it freezes hands over at once", async () => {
  const { browser, tabs } = await five();
  const [leader, ...others] = tabs as [Tab, ...Tab[]];
  leader.page("freeze");
  leader.freeze();
  await browser.pass(400);
  publish(browser.server("ana"), TOPIC, 1);
  await browser.settle();
  heardExactly(others, [1]);
  leader.thaw();
  await browser.pass(500);
  heardExactly(tabs, [1]);
});

test("only hidden tabs do not take a lock from a leader that is busy for a moment", async () => {
  const browser = new Browser();
  const tabs = [browser.open("ana"), browser.open("ana", { visible: false })] as const;
  for (const tab of tabs) {
    tab.subscribe(TOPIC);
    await browser.pass(300);
  }
  tabs[0].freeze();
  await browser.pass(5_000);
  expect(browser.dials).toBe(1);
  tabs[1].page("visible");
  await browser.pass(2_000);
  expect(browser.dials).toBe(2);
});

test("a tab that comes late with an older position is given what it has not", async () => {
  const { browser, tabs } = await five();
  const since = browser.server("ana").cursor(TOPIC);
  publish(browser.server("ana"), TOPIC, 1, 2);
  await browser.settle();
  const late = browser.open("ana");
  late.subscribe(TOPIC, { [TOPIC]: since });
  await browser.pass(300);
  publish(browser.server("ana"), TOPIC, 3);
  await browser.settle();
  heardExactly([...tabs, late], [1, 2, 3]);
});

test("a late tab without a position begins with what comes next, also on a topic that only lingers", async () => {
  const browser = new Browser();
  const [first, second] = [browser.open("ana"), browser.open("ana")] as const;
  first.subscribe(TOPIC);
  await browser.pass(300);
  first.engine.feed({ input: "unsubscribe", subscriber: 1 });
  publish(browser.server("ana"), TOPIC, 1);
  await browser.settle();
  second.subscribe(TOPIC);
  await browser.pass(300);
  publish(browser.server("ana"), TOPIC, 2);
  await browser.settle();
  expect(second.heard).toEqual([2]);
  // The first was there before, so it goes on where it was.
  first.subscribe(TOPIC);
  await browser.pass(300);
  expect(first.heard).toEqual([1, 2]);
});

test("what the last tab with a topic leaves, is left at the server", async () => {
  const { browser, tabs } = await five();
  const [one, two, ...others] = tabs as [Tab, Tab, ...Tab[]];
  one.engine.feed({ input: "unsubscribe", subscriber: 1 });
  two.close();
  for (const tab of others.slice(1)) tab.crash();
  await browser.pass(6_000);
  expect([...browser.server("ana").held]).toEqual([TOPIC]);
  others[0]?.crash();
  await browser.pass(6_000);
  expect([...browser.server("ana").held]).toEqual([]);
});

test("tabs of two users do not share, and a tab whose user changes goes over", async () => {
  const browser = new Browser();
  const [ana, second, ben] = [
    browser.open("ana"),
    browser.open("ana"),
    browser.open("ben"),
  ] as const;
  for (const tab of [ana, second, ben]) {
    tab.subscribe(TOPIC);
    await browser.pass(300);
  }
  expect(browser.dials).toBe(2);
  second.user = "ben";
  second.engine.feed({ input: "reauth" });
  await browser.pass(500);
  publish(browser.server("ana"), TOPIC, 1);
  publish(browser.server("ben"), TOPIC, 2);
  await browser.settle();
  expect([ana.heard, second.heard, ben.heard]).toEqual([[1], [2], [2]]);
  expect(browser.dials).toBe(2);
});

test("a leader whose cookie is another user's now tells nobody of it, and all find out whose they are", async () => {
  const { browser, tabs } = await five();
  for (const tab of tabs) tab.user = "ben";
  browser.server("ana").end(1006);
  publish(browser.server("ben"), TOPIC, 1);
  await browser.pass(3_000);
  publish(browser.server("ben"), TOPIC, 2);
  await browser.settle();
  for (const tab of tabs) expect(tab.heard.at(-1)).toBe(2);
  expect(tabs.map((tab) => tab.status?.state)).toEqual(Array(5).fill("live"));
  expect(browser.leaders).toBe(1);
});

test("what a leader that has become another user receives is not heard by its guests", async () => {
  const { browser, tabs } = await five();
  const [leader, ...others] = tabs as [Tab, ...Tab[]];
  leader.user = "ben";
  publish(browser.server("ben"), TOPIC, 1);
  browser.server("ana").end(1006);
  await browser.pass(3_000);
  publish(browser.server("ben"), TOPIC, 2);
  publish(browser.server("ana"), TOPIC, 3);
  await browser.settle();
  heardExactly(others, [3]);
  expect(leader.heard.at(-1)).toBe(2);
});

test("what an earlier leader still says is not heard", async () => {
  const { browser, tabs } = await five();
  const guest = tabs[1] as Tab;
  const line = [...browser.lines].find(({ tab }) => tab === guest);
  const event = { topic: TOPIC, event: "UPDATED", data: { entity_id: "gift-7", payload: 9 } };
  const deliver = { effect: "deliver", topic: TOPIC, event: { ...event, cursor: "test1-9" } };
  line?.hear({ kind: "news", tab: "earlier", term: 1, news: [deliver] } as unknown as Message);
  await browser.settle();
  heardExactly(tabs, []);
});

test("two that both take themselves for the leader end as one", async () => {
  const { browser, tabs } = await five();
  const leader = [...browser.lines].find(({ tab }) => tab === tabs[0]);
  const said = browser.said.length;
  for (let turn = 0; turn < 50; turn++) {
    leader?.hear({ kind: "lead", tab: "other", term: 2_000_000_000 + turn * 10 });
    await browser.settle();
  }
  // It answers once, not each time: no storm.
  expect(browser.said.slice(said).filter(({ kind }) => kind === "lead")).toHaveLength(1);
  await browser.pass(5_000);
  publish(browser.server("ana"), TOPIC, 1);
  await browser.settle();
  heardExactly(tabs, [1]);
  expect(browser.leaders).toBe(1);
});

test("a server that cannot say whose a tab is: it begins alone, and joins when that is known", async () => {
  const browser = new Browser();
  const first = browser.open("ana");
  first.subscribe(TOPIC);
  await browser.pass(300);
  const unknown = browser.open("ana", { names: null });
  unknown.subscribe(TOPIC);
  await browser.pass(500);
  expect(unknown.status?.state).toBe("live");
  expect(browser.leaders).toBe(1);
});

test("a page that may have no locks has a connection of its own", async () => {
  const browser = new Browser();
  browser.hasLocks = false;
  const tab = browser.open("ana");
  tab.subscribe(TOPIC);
  await browser.pass(500);
  publish(browser.server("ana"), TOPIC, 1);
  await browser.settle();
  heardExactly([tab], [1]);
  expect(tab.status?.state).toBe("live");
});

test("publishes pass through, and one that is under way when the leader goes is stored once", async () => {
  const { browser, tabs } = await five();
  const [leader, guest] = tabs as [Tab, Tab];
  const request = {
    request: 7,
    topic: TOPIC,
    event: "UPDATED",
    data: { entity_id: "gift-7", payload: 1 },
    idempotency_key: "once",
  };
  guest.engine.feed({ input: "publish", ...request });
  await browser.settle();
  expect(guest.told.filter(({ effect }) => effect === "settle")).toMatchObject([{ request: 7 }]);
  expect(leader.told.filter(({ effect }) => effect === "settle")).toEqual([]);

  leader.freeze();
  guest.engine.feed({ input: "publish", ...request, request: 8, idempotency_key: "twice" });
  await browser.pass(3_000);
  expect(guest.told.filter(({ effect }) => effect === "settle")).toHaveLength(2);
  leader.thaw();
  await browser.pass(1_000);
  expect(guest.heard).toEqual([1, 1]);
});

test("the new leader begins at the oldest position among the tabs, and waits for those that are slow", async () => {
  const { browser, tabs } = await five();
  const [leader, next, slow, ...others] = tabs as [Tab, Tab, Tab, ...Tab[]];
  slow.slowMs = 100;
  publish(browser.server("ana"), TOPIC, 1);
  await browser.settle();
  // What was on its way to the slow tab is lost with the leader.
  const line = [...browser.lines].find(({ tab }) => tab === slow);
  const { hear } = line as { hear: (message: Message) => void };
  Object.assign(line as object, {
    hear: (message: Message) => message.tab.startsWith("tab1-") || hear(message),
  });
  leader.crash();
  await browser.pass(1_000);
  heardExactly([next, slow, ...others], [1]);
});

test("a tab that pauses leaves the others alone, and catches up", async () => {
  const { browser, tabs } = await five();
  const [leader, ...others] = tabs as [Tab, ...Tab[]];
  leader.engine.feed({ input: "pause" });
  await browser.pass(500);
  publish(browser.server("ana"), TOPIC, 1);
  await browser.settle();
  expect(leader.status).toMatchObject({ state: "paused", reason: "paused" });
  heardExactly(others, [1]);
  expect(leader.heard).toEqual([]);
  leader.engine.feed({ input: "resume" });
  await browser.pass(500);
  heardExactly(tabs, [1]);
});

test("an outage is every tab's, told as it is, and over for all at once", async () => {
  const { browser, tabs } = await five();
  browser.server("ana").reachable = false;
  browser.server("ana").end(1006);
  await browser.pass(200);
  expect(tabs.map((tab) => tab.status?.state)).toEqual(Array(5).fill("reconnecting"));
  expect(tabs.map((tab) => tab.engine.view.topic(TOPIC)?.state)).toEqual(Array(5).fill("stale"));
  publish(browser.server("ana"), TOPIC, 1);
  browser.server("ana").reachable = true;
  await browser.pass(2_000);
  heardExactly(tabs, [1]);
  expect(tabs.map((tab) => tab.status?.state)).toEqual(Array(5).fill("live"));
});

test("a wildcard has no position: at a hand-over its subscribers are told to fetch", async () => {
  const { browser, tabs } = await five("gift-list:*");
  const [leader, ...others] = tabs as [Tab, ...Tab[]];
  leader.crash();
  await browser.pass(500);
  expect(others.map((tab) => tab.gaps)).toEqual(others.map(() => ["no_history"]));
});

test("a timer that the browser holds back runs when it is looked at, once", () => {
  const held: (() => void)[] = [];
  let now = 0;
  let runs = 0;
  const timers = new Punctual(
    () => now,
    (_, run) => {
      held.push(run);
      return () => {};
    },
  );
  timers.timer(1_000, () => {
    runs += 1;
  });
  now = 999;
  timers.look();
  expect(runs).toBe(0);
  now = 1_000;
  timers.look();
  timers.look();
  expect(runs).toBe(1);
});

test("a quiet group says little: a question now and then, and its answer", async () => {
  const { browser } = await five();
  const before = browser.said.filter(({ kind }) => kind === "ask").length;
  await browser.pass(10_000);
  const asked = browser.said.filter(({ kind }) => kind === "ask").length - before;
  expect(asked).toBeGreaterThanOrEqual(8);
  expect(asked).toBeLessThanOrEqual(60);
});

test("close() leaves: nothing is told, and what is published is refused", async () => {
  const { browser, tabs } = await five();
  const [leader, ...others] = tabs as [Tab, ...Tab[]];
  leader.engine.feed({ input: "close" });
  leader.engine.end();
  await browser.pass(500);
  publish(browser.server("ana"), TOPIC, 1);
  await browser.settle();
  expect(leader.heard).toEqual([]);
  expect(leader.status?.state).toBe("closed");
  heardExactly(others, [1]);
});
