// @vitest-environment happy-dom
import { focusManager, notifyManager } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { REFETCH, useTopicMutation, useTopicQuery } from "../src/react-query/index.js";
import { registryFor } from "../src/react-query/library.js";
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

function Page(more: More) {
  const { data } = useTopicQuery<number>({
    queryKey: KEY,
    queryFn: ({ signal }) => at.read(signal),
    topics: [TOPIC],
    apply: (_, event) => payloadOf(event),
    ...more,
  });
  return at.show(data);
}

async function settledPage(page = <Page />): Promise<void> {
  await at.render(page);
  await at.connect();
  await at.pass(1_000);
  at.backend.calls = 0;
}

test("a layer that goes is told together with the change of the cache that takes its place", async () => {
  const layers = registryFor(at.client).layers("[]");
  layers.add({ traceId: "t", change: (data) => data, settledAt: null });
  await at.pass(10);
  let told = 0;
  layers.subscribe(() => {
    told += 1;
  });
  notifyManager.batch(() => {
    layers.remove(() => true);
    expect(told).toBe(0);
  });
  await at.pass(10);
  expect(told).toBe(1);
});

describe("useTopicMutation", () => {
  let mutate: (value: number) => void = () => {};
  let errors: string[] = [];
  let answers: { resolve: () => void; reject: (error: Error) => void; traceId: string }[] = [];

  function Mutating({ apply }: More) {
    const mutation = useTopicMutation<void, Error, number, unknown, number>({
      queryKey: KEY,
      mutationFn: (_, { traceId, headers }) => {
        expect(headers.traceparent).toContain(traceId);
        return new Promise<void>((resolve, reject) => {
          answers.push({ resolve, reject, traceId });
        });
      },
      optimistic: (_, value) => value,
      onError: (error) => errors.push(error.message),
    });
    mutate = mutation.mutate;
    return apply === undefined ? <Page /> : <Page apply={apply} />;
  }

  beforeEach(() => {
    errors = [];
    answers = [];
  });

  test("is seen at once and undone with a message when it is refused", async () => {
    await settledPage(<Mutating />);
    mutate(100);
    await at.pass(10);
    expect(at.shown).toEqual([0, 100]);
    expect(at.client.getQueryData(KEY)).toBe(0); // the cache keeps the server's truth
    answers[0]?.reject(new Error("Ben was first."));
    await at.pass(10);
    expect(at.shown).toEqual([0, 100, 0]);
    expect(errors).toEqual(["Ben was first."]);
    expect(at.backend.calls).toBe(0);
  });

  test("what another does meanwhile stays under it, and is there when it is undone", async () => {
    await settledPage(<Mutating />);
    mutate(100);
    await at.pass(10);
    at.backend.change();
    await at.pass(100);
    expect(at.shown).toEqual([0, 100]);
    answers[0]?.reject(new Error("no"));
    await at.pass(10);
    expect(at.shown).toEqual([0, 100, 1]);
  });

  for (const order of ["the response first", "the event first"]) {
    test(`its own event ends it, and nothing flickers: ${order}`, async () => {
      await settledPage(<Mutating />);
      mutate(1);
      await at.pass(10);
      const { resolve, traceId } = answers[0]!;
      if (order === "the response first") resolve();
      else at.backend.change({ traceId });
      await at.pass(50);
      if (order === "the response first") at.backend.change({ traceId });
      else resolve();
      await at.pass(5_000);
      expect(at.shown).toEqual([0, 1]);
      expect(at.client.getQueryData(KEY)).toBe(1);
      expect(at.backend.calls).toBe(0);
    });
  }

  test("without apply its event fetches at once, and the change stays until the response", async () => {
    await settledPage(<Mutating apply={() => REFETCH} />);
    mutate(1);
    await at.pass(10);
    answers[0]?.resolve();
    at.backend.change({ traceId: answers[0]?.traceId ?? "" });
    await at.pass(5_000);
    expect(at.shown).toEqual([0, 1]);
    expect(at.client.getQueryData(KEY)).toBe(1);
    expect(at.backend.calls).toBe(1);
  });

  test("where no event comes, a fetch ends it", async () => {
    await settledPage(<Mutating />);
    mutate(1);
    await at.pass(10);
    at.backend.value = 1;
    answers[0]?.resolve();
    await at.pass(5_000);
    expect(at.shown).toEqual([0, 1]);
    expect(at.client.getQueryData(KEY)).toBe(1);
    expect(at.backend.calls).toBe(1);
  });

  test("left before it was answered, it leaves nothing behind", async () => {
    await settledPage(<Mutating />);
    mutate(1);
    await at.pass(10);
    await at.render(null);
    answers[0]?.resolve();
    await at.pass(5_000);
    at.backend.value = 3;
    await at.client.invalidateQueries({ queryKey: KEY });
    await at.render(<Page />);
    await at.pass(1_000);
    expect(at.shown.at(-1)).toBe(3);
  });

  test("five changes in 300 ms with events in between are five pictures", async () => {
    await settledPage(<Mutating />);
    for (let n = 1; n <= 5; n++) {
      mutate(n);
      await at.pass(60);
    }
    for (const { resolve, traceId } of answers) {
      at.backend.change({ traceId });
      await at.pass(30);
      resolve();
      await at.pass(30);
    }
    await at.pass(3_000);
    expect(at.shown).toEqual([0, 1, 2, 3, 4, 5]);
    expect(at.backend.calls).toBe(0);
  });
});
