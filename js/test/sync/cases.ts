/** What every binding must do, written once. */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ChangeQueue } from "../../src/sync/queue.js";
import { localStorageChanges } from "../../src/sync/storage.js";
import type { Binding, Page, PageOptions } from "./binding.js";
import { type Gift, type Rename, Stage, TOPIC } from "./stage.js";

const PATCH: PageOptions = { sync: "patch" };
const REVISIONS: PageOptions = { sync: { events: "patch", revisionOf: (gift: Gift) => gift.rev } };

export function behaves(binding: Binding): void {
  let at: Stage;
  let cache: ReturnType<Binding["cache"]>;
  beforeEach(() => {
    localStorage.clear();
    at = new Stage();
    cache = binding.cache(at);
  });
  afterEach(async () => {
    await cache.end();
    at.end();
  });

  const pass = (ms: number): Promise<void> => binding.run(() => at.pass(ms));
  const happens = (what: () => void): Promise<void> => binding.run(what);

  /** A page whose list is on the screen and followed. */
  async function settled(options: PageOptions = PATCH): Promise<Page> {
    const page = await cache.mount(options);
    await pass(1_000);
    expect(at.shown.at(-1)).toBe("kite");
    expect(at.live.topics).toEqual([TOPIC]);
    at.api.reads = 0;
    at.shown.splice(0, at.shown.length - 1);
    at.commits = 0;
    return page;
  }

  describe(`${binding.name}: the page ends equal to the database, when another changes the entity`, () => {
    for (const header of [true, false]) {
      for (const [name, options] of [
        ["patch", PATCH],
        ["refetch", {}],
      ] as const) {
        test(`P6 (a) between the read and the subscription (${name}, ${header ? "with" : "without"} positions)`, async () => {
          at.api.header = header;
          at.live.drop(150);
          await cache.mount(options);
          await pass(100); // the answer is here, and there is no connection
          await happens(() => at.api.change({ id: "kite", name: "red" }));
          await pass(6_000);
          at.expectEqual();
          expect(at.live.topics).toEqual([TOPIC]);
          expect(at.api.reads).toBeLessThanOrEqual(header && name === "patch" ? 1 : 2);
        });
      }
    }

    test("P7 (a) after the endpoint has read, and before the answer is here", async () => {
      at.api.latencyMs = 500;
      await cache.mount(PATCH);
      await pass(100);
      await happens(() => at.api.change({ id: "kite", name: "red" }));
      await pass(3_000);
      expect(at.shown).toEqual(["…", "kite=red"]);
      expect(at.api.reads).toBe(1);
    });

    test("(b) during a disconnect", async () => {
      await settled();
      at.api.down = true; // here; elsewhere things go on
      await happens(() => at.live.drop());
      await happens(() => at.api.change({ id: "kite", name: "red" }));
      await pass(5_000);
      expect(at.shown.at(-1)).toBe("kite");
      at.api.down = false;
      await happens(() => at.live.restore());
      await pass(1_000);
      at.expectEqual();
      expect(at.api.reads).toBe(0);
    });

    test("P30 (b) during a disconnect after which the server has forgotten: one read", async () => {
      await settled();
      await happens(() => at.live.drop());
      await happens(() => {
        at.api.change({ id: "kite", name: "red" });
        at.live.gap(TOPIC);
      });
      await happens(() => at.live.restore());
      await pass(5_000);
      at.expectEqual();
      expect(at.api.reads).toBe(1);
    });

    test("(c) while an optimistic change is in flight", async () => {
      const page = await settled();
      at.api.latencyMs = 300;
      await happens(() => page.rename({ id: "kite", name: "mine" }));
      await pass(100);
      await happens(() => at.api.change({ id: "ball", name: "ball" }));
      await pass(3_000);
      at.expectEqual();
      expect(at.shown).toEqual(["kite", "kite=mine", "kite=mine ball"]);
      expect(at.api.reads).toBe(0);
    });

    for (const [name, options, most] of [
      ["patch: none", PATCH, 0],
      ["refetch: at most five", {}, 5],
    ] as const) {
      test(`P9 (d) a thousand times in a second (${name}), no more commits than frames`, async () => {
        await settled(options);
        for (let n = 0; n < 200; n++) {
          await happens(() => {
            for (let m = 1; m <= 5; m++) at.api.change({ id: "kite", name: `n${n * 5 + m}` });
          });
          await pass(5);
        }
        await pass(1_000);
        at.expectEqual();
        expect(at.api.reads).toBeLessThanOrEqual(most);
        expect(at.api.aborted).toBe(0);
        expect(at.shown.length).toBeGreaterThan(3); // the screen has moved meanwhile
        expect(at.commits).toBeLessThanOrEqual(62);
      });
    }

    test("P8 (e) with an event that is newer than the answer under way", async () => {
      const page = await settled();
      at.api.latencyMs = 1_000;
      await happens(() => page.refetch());
      await pass(100);
      await happens(() => at.api.change({ id: "kite", name: "red" }));
      await pass(3_000);
      expect(at.shown).toEqual(["kite", "kite=red"]);
      expect(at.api.reads).toBe(1);
    });

    test("(e) with a late event that is older than the answer, on a topic that lags behind its table", async () => {
      const page = await settled(REVISIONS);
      const early = at.api.change({ id: "kite", name: "red" }, undefined, false);
      const late = at.api.change({ id: "kite", name: "blue" }, undefined, false);
      await happens(() => page.refetch());
      await pass(500);
      await happens(() => at.api.tell("UPDATED", early)); // what the answer has overtaken
      await pass(100);
      await happens(() => at.api.tell("UPDATED", late));
      await pass(500);
      expect(at.shown).toEqual(["kite", "kite=blue"]);
    });

    test("(e) the same with an apply of the application's own", async () => {
      const page = await settled({
        sync: {
          revisionOf: (gift) => gift.rev,
          events: {
            "*": (gifts, { data }) =>
              gifts.map((gift) => (gift.id === data.entity_id ? (data.payload as Gift) : gift)),
          },
        },
      });
      const early = at.api.change({ id: "kite", name: "red" }, undefined, false);
      at.api.change({ id: "kite", name: "blue" }, undefined, false);
      await happens(() => page.refetch());
      await pass(500);
      await happens(() => at.api.tell("UPDATED", early));
      await pass(500);
      expect(at.shown).toEqual(["kite", "kite=blue"]);
    });

    test("(e) with an answer from a copy that lags behind the event, and of what is deleted", async () => {
      const page = await settled(REVISIONS);
      await happens(() => at.api.change({ id: "ball", name: "ball" }));
      await pass(100);
      await happens(() => at.api.change({ id: "kite", name: "red" }));
      await happens(() => at.api.remove("ball"));
      await pass(100);
      at.api.replicaLag = 2; // where the kite is a kite, and the ball is there
      await happens(() => page.refetch());
      await pass(1_000);
      at.expectEqual();
      expect(at.shown).toEqual(["kite", "kite ball", "kite=red"]);
    });

    test("(f) while this client is offline with three changes waiting, one of which will be refused", async () => {
      await settled();
      const refused: string[] = [];
      const queue = new ChangeQueue({
        live: at.live,
        name: "ana",
        storage: localStorageChanges("ana"),
        onRefused: ({ variables }) => refused.push((variables as Rename).name),
      });
      const rename = cache.queued(queue);
      at.api.down = true;
      at.api.refused.add("no");
      await happens(() => at.live.drop());
      for (const [id, name] of [
        ["kite", "one"],
        ["ball", "no"],
        ["kite", "three"],
      ] as const)
        await happens(() => void rename({ id, name }).catch(() => {}));
      await pass(2_000);
      expect(at.shown.at(-1)).toBe("kite=three ball=no");
      expect(queue.get().map(({ variables }) => (variables as Rename).name)).toEqual([
        "one",
        "no",
        "three",
      ]);
      at.api.down = false; // the others' network works all the time
      await happens(() => at.api.change({ id: "doll", name: "doll" }));
      const [own] = [at.api.made.length];
      await happens(() => at.live.restore());
      await pass(40_000);
      expect(at.api.made.slice(own).map(({ name }) => name)).toEqual(["one", "three"]);
      expect(refused).toEqual(["no"]);
      expect(queue.get()).toEqual([]);
      at.expectEqual();
      queue.close();
    });
  });

  describe(`${binding.name}: P11 nothing flickers`, () => {
    for (const echo of ["before", "after", "never", "reference"] as const) {
      for (const [name, options] of [
        ["patch", PATCH],
        ["refetch", {}],
        ["one entity", { sync: { events: "patch", fetchEntity: (id: string) => at.loadOne(id) } }],
      ] as const) {
        test(`the echo comes ${echo === "reference" ? "without a payload" : `${echo} the response`} (${name})`, async () => {
          at.api.echo = echo;
          const page = await settled(options as PageOptions);
          await happens(() => page.rename({ id: "kite", name: "mine" }));
          await pass(5);
          expect(at.shown).toEqual(["kite", "kite=mine"]); // long before any answer
          await pass(5_000);
          expect(at.shown).toEqual(["kite", "kite=mine"]);
          at.expectEqual();
          // What is on the screen is the server's truth: nothing lies over it any more.
          await happens(() => at.api.change({ id: "kite", name: "theirs" }));
          await pass(2_000);
          expect(at.shown.at(-1)).toBe("kite=theirs");
        });
      }
    }

    test("five changes in 300 ms with echoes in between are five pictures", async () => {
      const page = await settled();
      at.api.latencyMs = 400;
      for (let n = 1; n <= 5; n++) {
        await happens(() => page.rename({ id: "kite", name: `n${n}` }));
        await pass(60);
      }
      await pass(5_000);
      expect(at.shown).toEqual(["kite", "kite=n1", "kite=n2", "kite=n3", "kite=n4", "kite=n5"]);
      at.expectEqual();
    });

    test("an echo that comes a moment before the answer to an older read", async () => {
      at.api.echo = "never";
      const page = await settled();
      at.api.latencyMs = 200;
      await happens(() => page.refetch());
      await pass(100);
      at.api.latencyMs = 1_000;
      await happens(() => page.rename({ id: "kite", name: "mine" }));
      await pass(90);
      const [sent] = at.api.requests.filter(({ method }) => method === "PUT");
      const traceId = sent?.headers.get("traceparent")?.split("-")[1];
      const kite = at.api.gifts.find(({ id }) => id === "kite");
      await happens(() => at.api.change({ id: "ball", name: "ball" })); // written at once
      await pass(5);
      // Within the same frame, so that it waits for the next one; and the answer is faster.
      await happens(() => at.api.tell("UPDATED", kite as Gift, traceId));
      await pass(3_000);
      expect(at.shown).toEqual(["kite", "kite=mine", "kite=mine ball"]);
    });

    test("the answer to a read that began before the change does not undo it", async () => {
      at.api.echo = "never";
      const page = await settled();
      at.api.latencyMs = 500;
      await happens(() => page.refetch());
      await pass(100);
      at.api.latencyMs = 50;
      await happens(() => page.rename({ id: "kite", name: "mine" }));
      await pass(5_000);
      expect(at.shown).toEqual(["kite", "kite=mine"]);
      at.expectEqual();
    });

    test("a refused change is undone and told, and what another did meanwhile is there", async () => {
      const page = await settled();
      at.api.refused.add("mine");
      at.api.latencyMs = 300;
      await happens(() => page.rename({ id: "kite", name: "mine" }));
      await pass(50);
      await happens(() => at.api.change({ id: "kite", name: "theirs" }));
      await pass(1_000);
      expect(at.shown).toEqual(["kite", "kite=mine", "kite=theirs"]);
      expect(at.errors).toEqual(["no"]);
    });
  });

  describe(`${binding.name}: two change the same (If-Match, 412)`, () => {
    const revisionOf: NonNullable<PageOptions["revisionOf"]> = (gifts, { id }) =>
      gifts.find((gift) => gift.id === id)?.rev;

    test("without a word from the application the change is refused, and the other's is shown", async () => {
      const page = await settled({ ...PATCH, revisionOf });
      at.api.change({ id: "kite", name: "theirs" }, undefined, false); // its event is on its way
      await happens(() => page.rename({ id: "kite", name: "mine" }));
      await pass(2_000);
      expect(at.shown.at(-1)).toBe("kite=theirs");
      expect(at.errors).toEqual(["Somebody else has changed this meanwhile."]);
    });

    test("onConflict sees both, and may try again upon what is there now", async () => {
      const seen: string[] = [];
      const page = await settled({
        ...PATCH,
        revisionOf,
        onConflict({ local, remote, variables }) {
          seen.push(`${local[0]?.name} / ${remote[0]?.name}`);
          return { retry: { ...variables, name: "both" } };
        },
      });
      at.api.change({ id: "kite", name: "theirs" }, undefined, false);
      await happens(() => page.rename({ id: "kite", name: "mine" }));
      await pass(3_000);
      expect(seen).toEqual(["mine / theirs"]);
      at.expectEqual();
      expect(at.shown).toEqual(["kite", "kite=mine", "kite=both"]);
      expect(at.errors).toEqual([]);
    });

    test("two changes of one's own are no conflict", async () => {
      const page = await settled({ ...PATCH, revisionOf });
      await happens(() => page.rename({ id: "kite", name: "one" }));
      await pass(200);
      await happens(() => page.rename({ id: "kite", name: "two" }));
      await pass(2_000);
      expect(at.errors).toEqual([]);
      at.expectEqual();
    });
  });

  describe(`${binding.name}: what it costs`, () => {
    test("A1 A6 ten components on one topic: one connection, one subscription, one read, none left", async () => {
      const page = await cache.mount({ ...PATCH, components: 10 });
      await pass(500);
      const subscribes = at.live.frames.filter(
        ({ frame }) => "type" in frame && frame.type === "subscribe",
      );
      expect(subscribes).toHaveLength(1);
      expect(at.live.debug().subscribers).toBe(1);
      expect(at.api.reads).toBe(1);
      await page.unmount();
      await pass(40_000);
      expect(at.live.topics).toEqual([]);
      expect(at.live.debug().subscribers).toBe(0);
      expect(at.live.status.state).toBe("idle");
    });

    test("P1 under StrictMode: one connection, one subscription", async () => {
      await cache.mount({ ...PATCH, strict: true });
      await pass(1_000);
      const types = at.live.frames.flatMap(({ frame }) => ("type" in frame ? [frame.type] : []));
      expect(types).toEqual(["welcome", "subscribe", "subscribed"]);
      expect(at.live.debug().subscribers).toBe(1);
    });

    test("A5 P35 mounted and unmounted a hundred times: nothing is left, and one frame tells so", async () => {
      for (let n = 0; n < 100; n++) await (await cache.mount(PATCH)).unmount();
      await pass(10_000);
      const page = await cache.mount(PATCH);
      await pass(200);
      at.expectEqual();
      expect(at.live.debug().subscribers).toBe(1);
      await page.unmount();
      await pass(40_000);
      expect(at.live.debug().subscribers).toBe(0);
      const types = at.live.frames.flatMap(({ frame }) => ("type" in frame ? [frame.type] : []));
      expect(types.filter((type) => type === "subscribe").length).toBeLessThanOrEqual(2);
    });

    test.each<[string, PageOptions]>([
      ["A7 live: false", { live: false }],
      ["A4 enabled: false", { enabled: false }],
      ["no topics", { topics: null }],
    ])("%s costs no connection", async (_, options) => {
      await cache.mount({ ...PATCH, ...options });
      await pass(10_000);
      expect(at.live.frames).toEqual([]);
      expect(at.live.status.state).toBe("idle");
      expect(at.api.reads).toBe(options.enabled === false ? 0 : 1);
    });

    test("P10 a change of this page is read at once, another's within the spread", async () => {
      const page = await settled({});
      at.api.latencyMs = 20;
      await happens(() => at.api.change({ id: "kite", name: "theirs" }));
      await pass(150);
      expect(at.api.reads).toBe(0); // half of the spread, as the test's chance has it
      await pass(1_000);
      expect(at.api.reads).toBe(1);
      await happens(() => page.rename({ id: "kite", name: "mine" }));
      await pass(30);
      expect(at.api.reads).toBe(2);
    });

    test("what an event asked for is read later, where a read that came first has failed", async () => {
      const page = await settled({});
      await happens(() => at.api.change({ id: "kite", name: "red" }));
      await pass(50); // the read for it waits for its moment
      at.api.down = true;
      await happens(() => page.refetch());
      await pass(300);
      at.api.down = false;
      await pass(15_000);
      at.expectEqual();
      expect(at.api.reads).toBe(1);
    });

    test("P2 left and come back to: what happened meanwhile, without a read", async () => {
      if (!binding.keepsData) return;
      const page = await settled();
      await page.unmount();
      await pass(6_000);
      expect(at.live.topics).toEqual([]);
      await happens(() => at.api.change({ id: "kite", name: "red" }));
      await cache.mount(PATCH);
      await pass(500);
      at.expectEqual();
      expect(at.api.reads).toBe(0);
    });

    test("left before a read that an event asked for: it is made when one comes back", async () => {
      if (!binding.keepsData) return;
      const page = await settled({ sync: { events: { UPDATED: "refetch", ADDED: "patch" } } });
      await happens(() => at.api.change({ id: "kite", name: "red" }));
      await happens(() => at.api.change({ id: "ball", name: "ball" }));
      await pass(50);
      await page.unmount();
      await pass(100);
      expect(at.api.reads).toBe(0);
      await cache.mount(PATCH);
      await pass(2_000);
      at.expectEqual();
      expect(at.api.reads).toBe(1);
    });

    test("where no transport is left it reads every ten seconds, and stops when one works", async () => {
      await settled();
      await happens(() => at.live.drop());
      await pass(60_000);
      expect(at.api.reads).toBeGreaterThanOrEqual(2);
      expect(at.api.reads).toBeLessThanOrEqual(6);
      await happens(() => at.live.restore());
      await pass(2_000);
      at.api.reads = 0;
      await pass(60_000);
      expect(at.api.reads).toBe(0);
    });

    test("invalidate reads nothing until somebody comes to look", async () => {
      const page = await settled({ sync: "invalidate" });
      await happens(() => at.api.change({ id: "kite", name: "red" }));
      await pass(5_000);
      expect(at.api.reads).toBe(0);
      expect(at.shown.at(-1)).toBe("kite");
      await page.unmount();
      await cache.mount({ sync: "invalidate" });
      await pass(2_000);
      at.expectEqual();
      expect(at.api.reads).toBe(1);
    });

    test("ignore does nothing, and what is ignored is not asked for later", async () => {
      const page = await settled({ sync: { events: { UPDATED: "ignore", ADDED: "patch" } } });
      await happens(() => at.api.change({ id: "kite", name: "red" }));
      await happens(() => at.api.change({ id: "ball", name: "ball" }));
      await pass(5_000);
      expect(at.shown.at(-1)).toBe("kite ball");
      await page.unmount();
      await cache.mount({ sync: { events: { UPDATED: "ignore", ADDED: "patch" } } });
      await pass(2_000);
      expect(at.api.reads).toBe(0);
    });

    test("R1 a version of the payload that the page cannot read is told, and read anew", async () => {
      const told: unknown[] = [];
      await settled({
        sync: {
          events: "patch",
          versions: [1],
          onUnknownVersion: ({ version }) => told.push(version),
        },
      });
      const gift = at.api.change({ id: "kite", name: "red" }, undefined, false);
      const title = { id: "kite", title: "red" };
      await happens(() => at.live.emit(TOPIC, "UPDATED", title, { entityId: gift.id, version: 2 }));
      await pass(2_000);
      at.expectEqual();
      expect(told).toEqual([2]);
      expect(at.api.reads).toBe(1);
    });

    test("R3 an event without a payload reads that one entity, a burst of them everything", async () => {
      const sync = { events: "patch", fetchEntity: (id: string) => at.loadOne(id) } as const;
      await settled({ sync });
      for (let n = 0; n < 20; n++) {
        const gift = at.api.change({ id: "kite", name: `n${n}` }, undefined, false);
        await happens(() => at.api.tell("UPDATED", gift, undefined, null));
      }
      await pass(2_000);
      at.expectEqual();
      expect(at.api.entityReads).toBeLessThanOrEqual(2);
      expect(at.api.reads).toBe(0);
      for (let n = 0; n < 20; n++) {
        const gift = at.api.change({ id: `gift-${n}`, name: "new" }, undefined, false);
        at.api.tell("ADDED", gift, undefined, null);
      }
      await pass(2_000);
      at.expectEqual();
      expect(at.api.entityReads).toBeLessThanOrEqual(12);
      expect(at.api.reads).toBeGreaterThanOrEqual(1);
      expect(at.api.reads).toBeLessThanOrEqual(3);
    });

    test("R3 what is read of one entity does not undo an event that has come meanwhile", async () => {
      const sync = { events: "patch", fetchEntity: (id: string) => at.loadOne(id) } as const;
      await settled({ sync });
      const gift = at.api.change({ id: "kite", name: "red" }, undefined, false);
      at.api.latencyMs = 500;
      await happens(() => at.api.tell("UPDATED", gift, undefined, null));
      await pass(400); // it has been read, and is on its way
      await happens(() => at.api.change({ id: "kite", name: "blue" }));
      await pass(3_000);
      at.expectEqual();
      at.expectNeverBack();
    });

    test("resync reads anew so often, whatever the events say", async () => {
      await settled({ sync: { events: "patch", resyncMs: 30_000 } });
      await pass(61_000);
      expect(at.api.reads).toBe(2);
    });
  });

  describe(`${binding.name}: the usual pattern, event and then invalidate, beside ours`, () => {
    async function burst(): Promise<void> {
      await pass(1_000);
      at.api.reads = 0;
      for (let n = 1; n <= 100; n++) {
        await happens(() => at.api.change({ id: "kite", name: `n${n}` }));
        await pass(5);
      }
      await pass(3_000);
      at.expectEqual();
    }

    test("A14 a hundred events in half a second are a storm of reads there", async (context) => {
      if (cache.mountPlain === undefined) return context.skip();
      await cache.mountPlain();
      await burst();
      expect(at.api.reads).toBeGreaterThanOrEqual(90);
    });

    test("A14 and a few here", async () => {
      await cache.mount({});
      await burst();
      expect(at.api.reads).toBeLessThanOrEqual(5);
    });

    for (const plain of [true, false]) {
      test(`A13 a change made while the server restarted: ${plain ? "never seen there" : "seen here"}`, async (context) => {
        if (plain && cache.mountPlain === undefined) return context.skip();
        await (plain ? cache.mountPlain?.() : cache.mount({}));
        await pass(1_000);
        await happens(() => {
          at.live.end(1012);
          at.live.drop();
          at.api.change({ id: "kite", name: "red" });
          at.live.gap(TOPIC, "epoch_changed");
        });
        await pass(2_000);
        await happens(() => at.live.restore());
        await pass(5_000);
        expect(at.shown.at(-1)).toBe(plain ? "kite" : "kite=red");
      });
    }
  });
}
