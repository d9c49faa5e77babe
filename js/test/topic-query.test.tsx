// @vitest-environment happy-dom
import { focusManager, useQuery } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { coalescedRefetch, REFETCH, useTopicQuery } from "../src/react-query/index.js";
import { KEY, payloadOf, type Stage, stage, TOPIC } from "./query-stage.js";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

let at: Stage;
beforeEach(() => {
  at = stage();
});
afterEach(async () => {
  focusManager.setFocused(undefined);
  await at.end();
});

type More = Partial<Parameters<typeof useTopicQuery<number>>[0]>;
let applied = 0;

function Page({ quiet = false, ...more }: More & { quiet?: boolean }) {
  const { data } = useTopicQuery<number>({
    queryKey: KEY,
    queryFn: ({ signal }) => at.read(signal),
    topics: [TOPIC],
    apply: (_, event) => {
      applied += 1;
      return payloadOf(event);
    },
    ...more,
  });
  return quiet ? null : at.show(data);
}

async function settledPage(page = <Page />): Promise<void> {
  await at.render(page);
  await at.connect();
  await at.pass(1_000);
  at.backend.calls = 0;
  applied = 0;
}

describe("no lost-update window", () => {
  for (const header of [true, false]) {
    test(`a change between the query and the subscription (${header ? "with" : "without"} cursors)`, async () => {
      at.backend.header = header;
      await at.render(<Page />);
      await at.pass(200); // the response is here, the connection is not
      at.backend.change({ tell: false });
      await at.happens(() => at.world.socket.welcome());
      const [asked] = at.world.socket.frames("subscribe");
      expect(asked?.since).toEqual(header ? { [TOPIC]: "k-0" } : undefined);
      await at.happens(() => at.world.socket.answer("k-1"));
      if (header) at.backend.tell(); // what was missed follows
      await at.pass(3_000);
      expect(at.shown).toEqual([0, 1]);
      expect(at.backend.calls).toBe(header ? 1 : 2);
    });
  }

  test("the subscription is live before the response comes", async () => {
    at.backend.latencyMs = 500;
    await at.render(<Page />);
    at.backend.change({ tell: false });
    await at.connect(); // live at k-1, the response is of k-0
    await at.pass(3_000);
    expect(at.shown.at(-1)).toBe(1);
  });

  test("an event that the response holds already is not applied", async () => {
    await settledPage();
    at.backend.change({ tell: false });
    void at.client.refetchQueries({ queryKey: KEY });
    await at.pass(200);
    applied = 0;
    at.backend.tell();
    await at.pass(200);
    expect(applied).toBe(0);
  });
});

describe("a run that another has taken the place of", () => {
  test("moves nothing, even where its request cannot be stopped", async () => {
    const deaf = (signal: AbortSignal) => {
      const open = new AbortController().signal;
      return at.backend.read((response) => at.live.note(response, signal), open);
    };
    await settledPage(<Page queryFn={({ signal }) => deaf(signal)} />);
    at.backend.latencyMs = 1_000;
    void at.client.refetchQueries({ queryKey: KEY });
    await at.pass(100);
    at.backend.change({ tell: false });
    at.backend.latencyMs = 50;
    void at.client.refetchQueries({ queryKey: KEY }, { cancelRefetch: true });
    await at.pass(5_000); // the new response at k-1, then the old one at k-0
    applied = 0;
    at.backend.tell();
    await at.pass(100);
    expect(applied).toBe(0);
    expect(at.shown).toEqual([0, 1]);
  });
});

describe("one follower for a query", () => {
  test("ten components with the same key apply an event once", async () => {
    await settledPage(
      <>
        {Array.from({ length: 10 }, (_, n) => (
          <Page key={String(n)} quiet={n > 0} />
        ))}
      </>,
    );
    at.backend.change();
    await at.pass(100);
    expect(applied).toBe(1);
    expect(at.shown.at(-1)).toBe(1);
    expect(at.live.debug().subscribers).toBe(1);
  });

  test("a burst is one write and one render", async () => {
    await settledPage();
    const before = at.shown.length;
    for (let n = 0; n < 500; n++) at.backend.change();
    await at.pass(100);
    expect(applied).toBe(500);
    expect(at.shown.length - before).toBe(1);
    expect(at.backend.calls).toBe(0);
  });

  test("under StrictMode it is one subscription and one fetch", async () => {
    await at.render(<Page />, true);
    await at.connect();
    await at.pass(1_000);
    expect(at.world.sockets).toHaveLength(1);
    expect(at.world.socket.frames("subscribe")).toHaveLength(1);
    expect(at.live.debug().subscribers).toBe(1);
    expect(at.shown).toEqual([0]);
  });

  test("topics may follow from the data", async () => {
    await at.render(
      <Page topics={(data) => (data === undefined ? null : [`counter:${data + 1}`])} />,
    );
    expect(at.world.sockets).toHaveLength(0);
    await at.pass(100);
    at.world.socket.welcome();
    expect(at.world.socket.frames("subscribe")[0]?.topics).toEqual([TOPIC]);
  });

  test.each<[string, More]>([
    ["live: false", { live: false }],
    ["enabled: false", { enabled: false }],
    ["no topics", { topics: null }],
  ])("%s costs nothing", async (_, more) => {
    await at.render(<Page {...more} />);
    await at.pass(60_000);
    expect(at.world.sockets).toHaveLength(0);
    expect(at.backend.calls).toBe(more.enabled === false ? 0 : 1);
  });
});

describe("what a query does when it is followed, and when not", () => {
  test("left and come back to: no fetch, but the events since then", async () => {
    await settledPage();
    at.backend.change();
    await at.pass(100);
    await at.render(null);
    at.world.pass(6_000);
    expect(at.world.socket.frames("unsubscribe")).toHaveLength(1);
    at.backend.change({ tell: false });
    await at.render(<Page />);
    await at.pass(0);
    expect(at.world.socket.frames("subscribe").at(-1)?.since).toEqual({ [TOPIC]: "k-1" });
    await at.happens(() => at.world.socket.answer());
    at.backend.tell();
    await at.pass(100);
    expect(at.shown).toEqual([0, 1, 2]);
    expect(at.backend.calls).toBe(0);
  });

  async function comeBackBroken(): Promise<void> {
    await at.happens(() => at.world.socket.end(1006));
    at.world.pass(1_000);
    at.backend.value = 7;
    await at.happens(() => {
      at.world.socket.welcome();
      at.world.socket.say({
        type: "subscribed",
        topic: "system",
        topics: { [TOPIC]: { cursor: "z-1", recovered: false, reason: "epoch_changed" } },
        id: at.world.socket.sent.at(-1)?.id,
      });
    });
  }

  test("a gap is exactly one fetch, spread", async () => {
    await settledPage();
    await comeBackBroken();
    at.backend.epoch = "z";
    at.backend.offset = 1;
    await at.pass(190);
    expect(at.backend.calls).toBe(0); // half of spreadMs, as the test's chance has it
    await at.pass(20);
    expect(at.backend.calls).toBe(1);
    await at.pass(5_000);
    expect(at.backend.calls).toBe(1);
    expect(at.shown.at(-1)).toBe(7);
  });

  test("servers that disagree about positions cause no storm", async () => {
    await settledPage();
    await comeBackBroken(); // the stream is in epoch z, the endpoint goes on saying k
    await at.pass(60_000);
    expect(at.backend.calls).toBeLessThanOrEqual(3);
    expect(at.shown.at(-1)).toBe(7);
    await at.happens(() => at.world.socket.event(TOPIC, "z-2", { payload: 8 }));
    await at.pass(1_000);
    expect(at.shown.at(-1)).toBe(8);
    expect(at.backend.calls).toBeLessThanOrEqual(3);
  });

  test("it polls at once where no transport is left, and stops the moment that one works", async () => {
    await settledPage();
    await at.happens(() => at.world.socket.end(1006));
    for (let turn = 0; turn < 2; turn++) {
      await at.happens(() => at.world.pass(5_000)); // the client's own clock
      await at.happens(() => at.world.socket.end(1006));
    }
    expect(at.live.status.refetching).toBe(true);
    at.backend.change({ tell: false });
    await at.pass(500);
    expect([at.backend.calls, at.shown.at(-1)]).toEqual([1, 1]);
    at.backend.change({ tell: false });
    await at.pass(9_000);
    expect(at.backend.calls).toBe(1);
    await at.pass(2_000);
    expect([at.backend.calls, at.shown.at(-1)]).toEqual([2, 2]);
    // By hand it is fetched now, each time that somebody asks.
    for (const calls of [3, 4]) {
      at.backend.change({ tell: false });
      await at.happens(() => at.world.pass(1_000));
      await at.happens(() => at.live.reconnect());
      await at.pass(300);
      expect([at.backend.calls, at.shown.at(-1)]).toEqual([calls, calls]);
    }
    await at.happens(() => at.world.pass(10_000));
    await at.connect();
    at.backend.calls = 0;
    await at.pass(60_000);
    expect(at.backend.calls).toBe(0);
  });

  test("a poll that fails is tried again by the next, however often a query retries", async () => {
    at.client.setDefaultOptions({ queries: { retry: 3, retryDelay: 1_000 } });
    await settledPage();
    await at.happens(() => at.world.socket.end(1006));
    for (let turn = 0; turn < 2; turn++) {
      await at.happens(() => at.world.pass(5_000));
      await at.happens(() => at.world.socket.end(1006));
    }
    at.backend.failing = true;
    await at.pass(60_000);
    expect(at.live.status.refetching).toBe(true);
    expect(at.backend.calls).toBeGreaterThan(5);
    expect(at.backend.calls).toBeLessThanOrEqual(10); // the first refetch is tried again too, ever more seldom
    at.backend.failing = false;
    at.backend.change({ tell: false });
    await at.pass(11_000);
    expect(at.shown.at(-1)).toBe(1);
  });

  test("it polls after thirty seconds without a connection, and stops when it is back", async () => {
    await settledPage();
    await at.happens(() => at.world.socket.end(1006));
    await at.pass(29_000);
    expect(at.backend.calls).toBe(0);
    await at.pass(1_500);
    await at.pass(30_500);
    expect(at.backend.calls).toBe(3);
    at.world.pass(60_000);
    await at.connect();
    await at.pass(500);
    at.backend.calls = 0;
    await at.pass(60_000);
    expect(at.backend.calls).toBe(0);
  });

  test("REFETCH fetches once, and so does an apply that throws", async () => {
    let answer: () => typeof REFETCH = () => REFETCH;
    await settledPage(<Page apply={() => answer()} />);
    at.backend.change();
    await at.pass(1_000);
    expect(at.shown.at(-1)).toBe(1);
    answer = () => {
      throw new Error("mine");
    };
    at.backend.change();
    await at.pass(1_000);
    expect(at.shown.at(-1)).toBe(2);
    expect(at.backend.calls).toBe(2);
  });

  test("a page that nobody looks at fetches once, when somebody does", async () => {
    await settledPage(<Page apply={() => REFETCH} />);
    focusManager.setFocused(false);
    for (let n = 0; n < 20; n++) {
      at.backend.change();
      await at.pass(500);
    }
    expect(at.backend.calls).toBe(0);
    focusManager.setFocused(true);
    await at.pass(1_000);
    expect(at.backend.calls).toBeLessThanOrEqual(2);
    expect(at.shown.at(-1)).toBe(20);
  });

  test("a fetch that fails is tried again, more and more seldom", async () => {
    await settledPage(<Page apply={() => REFETCH} />);
    at.backend.failing = true;
    at.backend.change();
    await at.pass(60_000);
    expect(at.backend.calls).toBe(3); // at once, 10 s later, 20 s later
    at.backend.failing = false;
    await at.pass(60_000);
    expect(at.shown.at(-1)).toBe(1);
  });

  test("coalescedRefetch serves an ordinary query", async () => {
    const refetch = coalescedRefetch(at.client, KEY);
    function Plain() {
      const { data } = useQuery({ queryKey: KEY, queryFn: ({ signal }) => at.read(signal) });
      return at.show(data);
    }
    at.backend.latencyMs = 200;
    await at.render(<Plain />);
    await at.pass(100);
    at.backend.value = 5;
    for (let n = 0; n < 100; n++) refetch();
    await at.pass(2_000);
    expect(at.shown).toEqual([0, 5]);
    expect(at.backend.calls).toBe(2);
    expect(at.backend.aborted).toBe(0);
  });
});
