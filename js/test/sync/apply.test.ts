import { describe, expect, test } from "vitest";
import type { TidingsEvent } from "../../src/core/event.js";
import { applyEvent } from "../../src/sync/apply.js";
import { followedBy, ID } from "../../src/sync/patterns.js";
import { isNewer, Revisions } from "../../src/sync/revisions.js";
import { REFETCH, reactionTo, rulesOf, type Sync } from "../../src/sync/rules.js";

interface Gift {
  id: string;
  name: string;
  rev?: number;
}

const event = (
  name: string,
  id: string,
  payload: unknown,
  topic = "gift-list:1",
): TidingsEvent => ({
  topic,
  event: name,
  data: { entity_id: id, payload, timestamp: "2026-11-23T15:00:00.000Z" },
  cursor: "k-1",
});
const kite: Gift = { id: "kite", name: "kite" };
const ball: Gift = { id: "ball", name: "ball" };
const list: readonly Gift[] = [kite, ball];

describe("applyEvent", () => {
  test("ADDED at the end, and once", () => {
    const added = applyEvent(list, event("ADDED", "doll", { id: "doll", name: "doll" }));
    expect(added).toEqual([kite, ball, { id: "doll", name: "doll" }]);
    expect(applyEvent(list, event("ADDED", "kite", { id: "kite", name: "red" }))).toEqual([
      { id: "kite", name: "red" },
      ball,
    ]);
  });

  test.each(["UPDATED", "STATUS_CHANGED", "RENAMED"])(
    "%s merges, a part of an object too",
    (name) => {
      expect(applyEvent(list, event(name, "kite", { rev: 3 }))).toEqual([
        { id: "kite", name: "kite", rev: 3 },
        ball,
      ]);
    },
  );

  test("DELETED takes out, with and without a payload, and leaves a list alone that has no such entity", () => {
    expect(applyEvent(list, event("DELETED", "kite", null))).toEqual([ball]);
    expect(applyEvent(list, event("DELETED", "kite", { id: "kite" }))).toEqual([ball]);
    expect(applyEvent(list, event("DELETED", "doll", null))).toBe(list);
  });

  test.each<[string, TidingsEvent]>([
    ["no payload", event("UPDATED", "kite", null)],
    ["a payload that is no object", event("UPDATED", "kite", 7)],
    ["an entity that is not here", event("UPDATED", "doll", { name: "doll" })],
  ])("REFETCH for %s", (_, one) => {
    expect(applyEvent(list, one)).toBe(REFETCH);
  });

  test("a list in a field, and ids of another name", () => {
    const data = { total: 1, gifts: [{ key: 7, name: "kite" }] };
    const options = { in: "gifts", idOf: (gift: { key: number }) => gift.key };
    expect(applyEvent(data, event("UPDATED", "7", { name: "red" }), options as never)).toEqual({
      total: 1,
      gifts: [{ key: 7, name: "red" }],
    });
  });

  test("one object", () => {
    expect(applyEvent(kite, event("UPDATED", "kite", { name: "red" }))).toEqual({
      ...kite,
      name: "red",
    });
    expect(applyEvent(kite, event("UPDATED", "ball", { name: "red" }))).toBe(REFETCH);
    expect(applyEvent(kite, event("DELETED", "kite", null))).toBe(REFETCH);
  });

  test("what is not newer changes nothing", () => {
    const at3: Gift[] = [{ id: "kite", name: "three", rev: 3 }];
    const options = { revisionOf: (gift: Gift) => gift.rev };
    for (const rev of [2, 3])
      expect(applyEvent(at3, event("UPDATED", "kite", { name: "old", rev }), options)).toBe(at3);
    expect(applyEvent(at3, event("UPDATED", "kite", { name: "new", rev: 4 }), options)).not.toBe(
      at3,
    );
    expect(applyEvent(at3, event("DELETED", "kite", { rev: 2 }), options)).toBe(at3);
    expect(applyEvent(at3, event("DELETED", "kite", { rev: 3 }), options)).toEqual([]);
  });
});

test("revisions are numbers or times, and what is unknown is not compared", () => {
  expect(isNewer(10, 9)).toBe(true);
  expect(isNewer(9n, 10)).toBe(false);
  expect(isNewer("2026-11-23T15:00:01Z", "2026-11-23T15:00:00Z")).toBe(true);
  expect(isNewer(1, null)).toBe(null);
  expect(isNewer(1, "2")).toBe(null);
});

test("after a gap the next response is believed, whatever its revisions", () => {
  const revisions = new Revisions();
  const rules = { revisionOf: (gift: unknown) => (gift as Gift).rev };
  const cached = [{ ...kite, rev: 9 }];
  const restored = [{ ...kite, rev: 2 }];
  expect(revisions.newest(restored, cached, rules)).toEqual(cached);
  revisions.distrust();
  expect(revisions.newest(restored, cached, rules)).toBe(restored);
  expect(revisions.newest(restored, cached, rules)).toEqual(cached);
});

describe("strategies are data", () => {
  test.each<[string, unknown, string, unknown]>([
    ["nothing said", undefined, "UPDATED", "refetch"],
    ["hybrid", "hybrid", "UPDATED", "patch"],
    ["hybrid", "hybrid", "MERGED", "refetch"],
    ["patch", "patch", "MERGED", "patch"],
    ["hybrid is what rules without events mean", {}, "STATUS_CHANGED", "patch"],
    ["by name", { events: { UPDATED: "ignore" } }, "UPDATED", "ignore"],
    [
      "by name, the rest",
      { events: { UPDATED: "ignore", "*": "invalidate" } },
      "ADDED",
      "invalidate",
    ],
    ["by name, nothing said of the rest", { events: { UPDATED: "ignore" } }, "ADDED", "refetch"],
    ["by topic type", { events: "patch", topics: { "gift-list": "ignore" } }, "UPDATED", "ignore"],
  ])("%s", (_, sync, name, reaction) => {
    expect(reactionTo(rulesOf(sync), event(name, "kite", null))).toBe(reaction);
  });

  test("they are typed by the data", () => {
    const whole: Sync<Gift[]> = { events: "patch", revisionOf: (gift) => gift.rev };
    const field: Sync<{ gifts: Gift[]; title: string }> = {
      in: "gifts",
      idOf: (gift) => gift.name,
    };
    // @ts-expect-error: a field that holds no list
    const wrong: Sync<{ gifts: Gift[]; title: string }> = { in: "title" };
    // @ts-expect-error: no such strategy
    const unknown: Sync<Gift[]> = "pacth";
    expect([whole, field, wrong, unknown]).toHaveLength(4);
  });
});

describe("rules for a whole application", () => {
  test("the identifier stands in the key", () => {
    const rules = { "gift-list": ["gifts", ID] };
    expect(followedBy(rules, ["gifts", 7])?.topics).toEqual(["gift-list:7"]);
    expect(followedBy(rules, ["gifts", "a b", "more"])?.topics).toEqual(["gift-list:a~20b"]);
    expect(followedBy(rules, ["gifts"])).toBe(null);
    expect(followedBy(rules, ["gifts", { page: 1 }])).toBe(null);
    expect(followedBy(rules, ["people", 7])).toBe(null);
  });

  test("several patterns, several types, and all of a type", () => {
    const rules = {
      "gift-list": { key: [["gifts", ID], ["lists"]], sync: "patch" },
      comment: ["gifts", ID, "comments"],
    } as const;
    expect(followedBy(rules, ["lists"])?.topics).toEqual(["gift-list:*"]);
    const both = followedBy(rules, ["gifts", 7, "comments"]);
    expect(both?.topics).toEqual(["comment:7", "gift-list:7"]);
    expect(both?.rules.topics).toEqual({ "gift-list": "patch", comment: "refetch" });
  });
});
