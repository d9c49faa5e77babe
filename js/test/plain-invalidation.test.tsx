// @vitest-environment happy-dom
/**
 * The failures of the usual pattern, "event, then invalidateQueries", each beside ours with the same traffic. The
 * first half of each pair asserts the failure: should the pattern be mended one day, it will say so.
 */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { useTopic } from "../src/react/index.js";
import { useTopicQuery } from "../src/react-query/index.js";
import { KEY, payloadOf, type Stage, stage, TOPIC } from "./query-stage.js";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

let at: Stage;
beforeEach(() => {
  at = stage();
});
afterEach(() => at.end());

function Plain({ cancelRefetch = true }: { cancelRefetch?: boolean }) {
  const client = useQueryClient();
  const { data } = useQuery({ queryKey: KEY, queryFn: ({ signal }) => at.read(signal) });
  useTopic(TOPIC, () => {
    client.invalidateQueries({ queryKey: KEY }, { cancelRefetch });
  });
  return at.show(data);
}

function PlainPatch() {
  const client = useQueryClient();
  const { data } = useQuery({ queryKey: KEY, queryFn: ({ signal }) => at.read(signal) });
  useTopic(TOPIC, (event) => {
    client.setQueryData(KEY, payloadOf(event));
  });
  return at.show(data);
}

function Ours() {
  const { data } = useTopicQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => at.read(signal),
    topics: TOPIC,
  });
  return at.show(data);
}

function OursPatch() {
  const { data } = useTopicQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => at.read(signal),
    topics: TOPIC,
    apply: (_: number, event) => payloadOf(event),
  });
  return at.show(data);
}

describe("an event during the first fetch", () => {
  async function script(page: React.ReactNode): Promise<void> {
    at.backend.latencyMs = 200;
    await at.render(page);
    await at.connect();
    await at.pass(100);
    at.backend.change();
    await at.pass(3_000);
  }

  test("invalidateQueries loses it", async () => {
    await script(<Plain />);
    expect(at.backend.calls).toBe(1);
    expect(at.shown.at(-1)).toBe(0); // the screen is wrong, and will stay so
  });

  for (const header of [true, false]) {
    test(`ours shows it (${header ? "with" : "without"} cursors in responses)`, async () => {
      at.backend.header = header;
      await script(<Ours />);
      expect(at.shown.at(-1)).toBe(1);
      expect(at.backend.calls).toBe(2);
      expect(at.backend.aborted).toBe(0);
    });
  }

  test("ours with apply shows it without another fetch", async () => {
    await script(<OursPatch />);
    expect(at.shown).toEqual([1]);
    expect(at.backend.calls).toBe(1);
  });
});

describe("100 events in 200 ms", () => {
  async function script(page: React.ReactNode): Promise<void> {
    await at.render(page);
    await at.connect();
    await at.pass(1_000);
    at.backend.calls = 0;
    for (let n = 0; n < 100; n++) {
      at.backend.change();
      await at.pass(2);
    }
    await at.pass(3_000);
    expect(at.shown.at(-1)).toBe(100);
  }

  test("invalidateQueries fetches 100 times and throws 99 away", async () => {
    await script(<Plain />);
    expect(at.backend.calls).toBe(100);
    expect(at.backend.aborted).toBe(99);
  });

  for (const header of [true, false]) {
    test(`ours fetches twice (${header ? "with" : "without"} cursors in responses)`, async () => {
      at.backend.header = header;
      await script(<Ours />);
      expect(at.backend.calls).toBeLessThanOrEqual(3);
      expect(at.backend.aborted).toBe(0);
    });
  }

  test("ours with apply fetches nothing", async () => {
    await script(<OursPatch />);
    expect(at.backend.calls).toBe(0);
  });
});

describe("a steady stream", () => {
  async function script(page: React.ReactNode): Promise<number> {
    await at.render(page);
    await at.connect();
    await at.pass(1_000);
    const before = at.shown.length;
    at.backend.calls = 0;
    for (let n = 0; n < 50; n++) {
      at.backend.change();
      await at.pass(20);
    }
    return at.shown.length - before;
  }

  test("invalidateQueries never shows anything while it lasts", async () => {
    expect(await script(<Plain />)).toBe(0);
    expect(at.backend.calls).toBe(50);
  });

  test("ours keeps the screen moving, with a few fetches", async () => {
    expect(await script(<Ours />)).toBeGreaterThanOrEqual(3);
    expect(at.backend.calls).toBeLessThanOrEqual(5);
    await at.pass(1_000);
    expect(at.shown.at(-1)).toBe(50);
  });
});

describe("a change during a refetch", () => {
  async function script(page: React.ReactNode): Promise<void> {
    await at.render(page);
    await at.connect();
    await at.pass(1_000);
    at.backend.latencyMs = 1_000;
    void at.client.refetchQueries({ queryKey: KEY });
    await at.pass(500);
    at.backend.change(); // after the endpoint has read, before it answers
    await at.pass(5_000);
  }

  test("invalidateQueries without cancelling stays at the old value", async () => {
    await script(<Plain cancelRefetch={false} />);
    expect(at.shown.at(-1)).toBe(0);
  });

  test("setQueryData is overwritten by the older response", async () => {
    await script(<PlainPatch />);
    expect(at.shown).toEqual([0, 1, 0]); // there, and gone again
  });

  for (const header of [true, false]) {
    test(`ours shows it (${header ? "with" : "without"} cursors in responses)`, async () => {
      at.backend.header = header;
      await script(<Ours />);
      expect(at.shown).toEqual([0, 1]);
    });
  }

  test("ours with apply shows it at once and never goes back", async () => {
    await script(<OursPatch />);
    expect(at.shown).toEqual([0, 1]);
    expect(at.backend.calls).toBe(2);
  });
});
