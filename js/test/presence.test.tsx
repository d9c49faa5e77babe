// @vitest-environment happy-dom
/** Presence as an application uses it: plain, and in React; on the kit's server, and once against the real wire. */

import { act, StrictMode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { presence } from "../src/presence/index.js";
import { TidingsProvider, usePresence } from "../src/react/index.js";
import { createTestLive, type TestLive } from "../src/testing/index.js";

const LIST = "gift-list:1";
(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

let live: TestLive;

beforeEach(() => {
  live = createTestLive({ user: "ana" });
});

afterEach(() => {
  live.close();
});

/** Microtasks of the page, then what is under way at the fake server. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    await Promise.resolve();
    live.settle();
  }
}

const sent = (): unknown[] =>
  live.frames
    .filter(({ from, frame }) => from === "client" && "type" in frame && frame.type === "presence")
    .map(({ frame }) => frame);

describe("presence()", () => {
  test("tells who is there, and which of them is this page", async () => {
    live.come(LIST, "ben", { typing: true });
    const room = presence(live, LIST, { state: { typing: false } });
    await settled();
    expect(room.view).toMatchObject({ state: "live", count: 2, complete: true, error: null });
    expect(room.view.members.map(({ user, self, state }) => ({ user, self, state }))).toEqual([
      { user: "ben", self: false, state: { typing: true } },
      { user: "ana", self: true, state: { typing: false } },
    ]);
    live.come(LIST, "ben", { typing: false });
    expect(room.view.members[0]?.state).toEqual({ typing: false });
    live.go(LIST, "ben");
    expect(room.view.users.map(({ user }) => user)).toEqual(["ana"]);
  });

  test("the topic is subscribed to before, and for as long as that lasts", async () => {
    const room = presence(live, LIST);
    await settled();
    const types = live.frames.flatMap(({ from, frame }) =>
      from === "client" && "type" in frame ? [frame.type] : [],
    );
    expect(types).toEqual(["subscribe", "presence"]);
    expect(live.topics).toEqual([LIST]);
    room.leave();
    await settled();
    expect(sent()).toEqual([
      { type: "presence", topic: LIST, id: "presence" },
      { type: "presence", topic: LIST, leave: true, id: "presence" },
    ]);
    live.advance(10_000);
    expect(live.topics).toEqual([]);
    expect(room.view.members).toEqual([]);
  });

  test("two uses are one presence, and the last to leave ends it", async () => {
    const one = presence(live, LIST);
    const two = presence(live, LIST);
    await settled();
    one.leave();
    one.leave();
    await settled();
    expect(sent()).toHaveLength(1);
    expect(two.view.count).toBe(1);
    two.leave();
    await settled();
    expect(sent()).toHaveLength(2);
  });

  test("a listener is told, and the view is the same object until something changes", async () => {
    const room = presence(live, LIST);
    const seen = vi.fn();
    const off = room.onChange(seen);
    await settled();
    const before = room.view;
    expect(room.view).toBe(before);
    expect(seen).toHaveBeenLastCalledWith(before);
    live.come(LIST, "ben");
    expect(room.view).not.toBe(before);
    const calls = seen.mock.calls.length;
    off();
    live.go(LIST, "ben");
    expect(seen.mock.calls.length).toBe(calls);
  });

  test("after a reconnect it is present again, with the newest state", async () => {
    live.come(LIST, "ben");
    const room = presence<{ n: number }>(live, LIST, { state: { n: 1 } });
    await settled();
    live.drop(5_000);
    expect(room.view.state).toBe("away");
    expect(room.view.users.map(({ user }) => user)).toEqual(["ben", "ana"]);
    room.update({ n: 2 });
    live.go(LIST, "ben");
    live.advance(60_000);
    await settled();
    expect(room.view.state).toBe("live");
    expect(room.view.members.map(({ user, state }) => ({ user, state }))).toEqual([
      { user: "ana", state: { n: 2 } },
    ]);
    expect(room.view.members[0]?.self).toBe(true);
  });

  test("a topic that is refused is said to be", async () => {
    live.deny(LIST);
    const room = presence(live, LIST);
    await settled();
    expect(room.view.state).toBe("denied");
    expect(room.view.error?.code).toBe("no_presence");
  });

  test("one that comes when the connection is there already knows its own", async () => {
    live.subscribe(LIST, () => {});
    await settled();
    const room = presence(live, LIST);
    await settled();
    expect(room.view.members.map(({ self }) => self)).toEqual([true]);
  });

  test("a page without presence loads nothing, and hears nothing", async () => {
    live.subscribe(LIST, () => {});
    await settled();
    expect(live.wire?.heard).toBeNull();
  });
});

describe("usePresence", () => {
  let root: Root;
  let box: HTMLElement;

  beforeEach(() => {
    box = document.createElement("div");
    root = createRoot(box);
  });

  afterEach(() => {
    act(() => root.unmount());
  });

  function Faces({ topic, me }: { topic: string | null; me?: Record<string, unknown> }) {
    const { users, state } = usePresence(topic, me);
    return <p>{`${state}: ${users.map(({ user }) => user).join(" ")}`}</p>;
  }

  const render = (topic: string | null, me?: Record<string, unknown>): Promise<void> =>
    act(async () => {
      root.render(
        <StrictMode>
          <TidingsProvider client={live}>
            <Faces topic={topic} {...(me === undefined ? {} : { me })} />
          </TidingsProvider>
        </StrictMode>,
      );
      await vi.dynamicImportSettled();
      await settled();
    });

  test("in StrictMode it enters once, and follows", async () => {
    live.come(LIST, "ben");
    await render(LIST, { typing: false });
    await act(settled);
    expect(box.textContent).toBe("live: ben ana");
    expect(sent()).toEqual([
      { type: "presence", topic: LIST, state: { typing: false }, id: "presence" },
    ]);
    await act(async () => live.go(LIST, "ben"));
    expect(box.textContent).toBe("live: ana");
  });

  test("what one says of oneself may be written inline: only what is new is sent", async () => {
    await render(LIST, { typing: false });
    await render(LIST, { typing: false });
    expect(sent()).toHaveLength(1);
    await render(LIST, { typing: true });
    await vi.waitFor(() => {
      live.settle();
      expect(sent().at(-1)).toMatchObject({ state: { typing: true } });
    });
    expect(sent()).toHaveLength(2);
  });

  test("with null it is nowhere, and unmounted it leaves", async () => {
    await render(null);
    expect(live.frames).toEqual([]);
    await render(LIST);
    await render(null);
    expect(sent().at(-1)).toMatchObject({ leave: true });
    expect(box.textContent).toBe("joining: ");
  });
});
