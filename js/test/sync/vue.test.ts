// @vitest-environment happy-dom

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Component,
  createApp,
  defineComponent,
  effectScope,
  h,
  KeepAlive,
  nextTick,
  ref,
} from "vue";
import {
  createTidings,
  useConnectionStatus,
  useTidings,
  useTopic,
  useTopicReducer,
} from "../../src/vue/index.js";
import { Stage, TOPIC } from "./stage.js";

let at: Stage;
let undo: (() => void)[] = [];
beforeEach(() => {
  at = new Stage();
});
afterEach(() => {
  for (const one of undo) one();
  undo = [];
  at.end();
});

function mount(component: Component): () => void {
  const app = createApp(component);
  app.use(createTidings({ client: at.live }));
  app.mount(document.createElement("div"));
  const unmount = (): void => app.unmount();
  undo.push(unmount);
  return unmount;
}

const subscribes = (): unknown[] =>
  at.live.frames.flatMap(({ frame }) =>
    "type" in frame && frame.type === "subscribe" ? [frame] : [],
  );

describe("useTopic", () => {
  test("P3 each event once and in order, and nothing is left when the component goes", async () => {
    const seen: unknown[] = [];
    const unmount = mount(() => null);
    unmount();
    undo = [];
    const gone = mount(
      defineComponent(() => {
        useTopic(TOPIC, ({ data }) => seen.push((data.payload as { rev: number }).rev));
        return () => null;
      }),
    );
    await at.pass(50);
    for (let n = 0; n < 500; n++) at.api.change({ id: "kite", name: `n${n}` });
    expect(seen).toEqual(Array.from({ length: 500 }, (_, n) => n + 2));
    gone();
    undo = [];
    await at.pass(40_000);
    expect(at.live.debug().subscribers).toBe(0);
    expect(at.live.topics).toEqual([]);
  });

  test("P40 a ref of topics that changes is one connection, and only what changes causes traffic", async () => {
    const list = ref("1");
    const tick = ref(0);
    mount(
      defineComponent(() => {
        useTopic(
          () => [`gift-list:${list.value}`, ...(tick.value > 0 ? [] : [])],
          () => {},
        );
        return () => h("p", tick.value);
      }),
    );
    await at.pass(50);
    for (let n = 0; n < 60; n++) {
      tick.value += 1;
      await nextTick();
    }
    expect(subscribes()).toHaveLength(1);
    list.value = "2";
    await nextTick();
    await at.pass(10_000);
    expect(at.live.topics).toEqual(["gift-list:2"]);
    const welcomes = at.live.frames.filter(
      ({ frame }) => "type" in frame && frame.type === "welcome",
    );
    expect(welcomes).toHaveLength(1);
  });

  test("P2 P40 put away by KeepAlive: it rests, and when it is back it gets what happened", async () => {
    const shows = ref(true);
    const seen: string[] = [];
    const List = defineComponent(() => {
      useTopic(TOPIC, ({ data }) => seen.push((data.payload as { name: string }).name));
      return () => null;
    });
    mount(defineComponent(() => () => h(KeepAlive, () => (shows.value ? h(List) : h("p")))));
    await at.pass(50);
    at.api.change({ id: "kite", name: "one" });
    shows.value = false;
    await nextTick();
    await at.pass(10_000);
    expect(at.live.topics).toEqual([]);
    at.api.change({ id: "kite", name: "two" });
    shows.value = true;
    await nextTick();
    await at.pass(500);
    expect(seen).toEqual(["one", "two"]);
  });

  test("null and enabled: false cost no connection; the state is told", async () => {
    const enabled = ref(false);
    const states: string[] = [];
    mount(
      defineComponent(() => {
        useTopic(null, () => {});
        const { state } = useTopic(TOPIC, () => {}, { enabled });
        return () => {
          states.push(state.value.state);
          return null;
        };
      }),
    );
    await at.pass(5_000);
    expect(at.live.frames).toEqual([]);
    enabled.value = true;
    await nextTick();
    await at.pass(100);
    at.live.deny(TOPIC);
    await at.pass(100);
    expect(states).toEqual(["idle", "subscribing", "live", "denied"]);
  });

  test("in a scope without a component, such as a store's", async () => {
    const scope = effectScope();
    const app = createApp(() => null);
    app.use(createTidings({ client: at.live }));
    app.runWithContext(() => scope.run(() => useTopic(TOPIC, () => {})));
    await at.pass(50);
    expect(at.live.topics).toEqual([TOPIC]);
    scope.stop();
    expect(at.live.debug().subscribers).toBe(0);
  });
});

test("useTopicReducer folds a burst in one render", async () => {
  let renders = 0;
  let shown = 0;
  mount(
    defineComponent(() => {
      const { value } = useTopicReducer(TOPIC, (count: number) => count + 1, 0);
      return () => {
        renders += 1;
        shown = value.value;
        return null;
      };
    }),
  );
  await at.pass(50);
  renders = 0;
  for (let n = 0; n < 100; n++) at.api.change({ id: "kite", name: `n${n}` });
  await nextTick();
  expect([shown, renders]).toEqual([100, 1]);
});

test("useConnectionStatus says it in words, and tries anew", async () => {
  let words = "";
  let retry = (): void => {};
  mount(
    defineComponent(() => {
      useTopic(TOPIC, () => {});
      const status = useConnectionStatus();
      return () => {
        words = status.value.text;
        retry = status.value.retry;
        return null;
      };
    }),
  );
  await at.pass(100);
  at.live.drop();
  await at.pass(3_000);
  expect(words).toContain("Reconnecting");
  expect(retry).toBeTypeOf("function");
});

test("without a plugin there is the page's default client", () => {
  let live: unknown = null;
  const app = createApp(
    defineComponent(() => {
      live = useTidings();
      return () => null;
    }),
  );
  app.mount(document.createElement("div"));
  expect(live).not.toBe(null);
  app.unmount();
});
