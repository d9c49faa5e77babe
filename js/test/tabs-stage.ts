/** A browser with several tabs: its locks, its channel, one clock, and tabs that close, crash and freeze. */

import type { Told } from "../src/core/driver.js";
import type { Engine } from "../src/core/engine.js";
import { browserEnvironment, type Environment, type PageSignal } from "../src/core/environment.js";
import type { Since } from "../src/core/machine/values.js";
import { openShared } from "../src/core/tabs/shared.js";
import type { Message } from "../src/core/tabs/values.js";
import type { HoldEvents, TabWorld } from "../src/core/tabs/world.js";
import { FakeServer } from "../src/testing/server.js";
import { FakeSocket } from "../src/testing/socket.js";
import { FakeTime } from "../src/testing/time.js";

interface Waiting {
  readonly tab: Tab;
  readonly events: HoldEvents;
}

/** The browser: what it keeps for all tabs of an origin. */
export class Browser {
  readonly time = new FakeTime(1_000_000);
  readonly tabs: Tab[] = [];
  readonly #servers = new Map<string, FakeServer>();
  readonly #holders = new Map<string, Waiting>();
  readonly #queues = new Map<string, Waiting[]>();
  readonly lines = new Set<{ name: string; tab: Tab; hear: (message: Message) => void }>();
  hasLocks = true;
  /** How often a connection was made. */
  dials = 0;
  /** What the tabs said to each other. */
  readonly said: Message[] = [];

  server(user: string): FakeServer {
    const known = this.#servers.get(user) ?? new FakeServer(this.time, user);
    this.#servers.set(user, known);
    return known;
  }

  open(user = "ana", more: { visible?: boolean; names?: string | null } = {}): Tab {
    const tab = new Tab(this, user, more);
    this.tabs.push(tab);
    return tab;
  }

  /** Everything that is under way happens, without time passing. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 60; turn++) {
      this.time.settle();
      await Promise.resolve();
    }
  }

  async pass(ms: number, stepMs = 50): Promise<void> {
    for (let gone = 0; gone < ms; gone += stepMs) {
      await this.settle();
      this.time.advance(Math.min(stepMs, ms - gone));
    }
    await this.settle();
  }

  get leaders(): number {
    return [...this.#holders.keys()].filter((name) => name.endsWith(" leader")).length;
  }

  // What the tabs' worlds are made of.

  hold(name: string, steal: boolean, one: Waiting): () => void {
    const queue = this.#queues.get(name) ?? [];
    this.#queues.set(name, queue);
    const holder = this.#holders.get(name);
    if (steal && holder !== undefined) {
      this.#holders.delete(name);
      holder.tab.later(() => holder.events.lost?.());
    }
    if (steal) queue.unshift(one);
    else queue.push(one);
    this.#grant(name);
    return () => this.#release(name, one);
  }

  held(): string[] {
    return [...this.#holders.keys()];
  }

  gone(tab: Tab): void {
    for (const line of [...this.lines]) if (line.tab === tab) this.lines.delete(line);
    for (const queue of this.#queues.values()) {
      queue.splice(0, queue.length, ...queue.filter((one) => one.tab !== tab));
    }
    for (const [name, one] of [...this.#holders]) if (one.tab === tab) this.#release(name, one);
  }

  #release(name: string, one: Waiting): void {
    const queue = this.#queues.get(name) ?? [];
    if (queue.includes(one)) queue.splice(queue.indexOf(one), 1);
    if (this.#holders.get(name) === one) {
      this.#holders.delete(name);
      this.#grant(name);
    }
  }

  #grant(name: string): void {
    const next = this.#holders.has(name) ? undefined : this.#queues.get(name)?.shift();
    if (next === undefined) return;
    this.#holders.set(name, next);
    next.tab.later(() => {
      if (this.#holders.get(name) === next) next.events.granted();
    });
  }
}

/** One tab, with what its client has told the application. */
export class Tab {
  readonly engine: Engine;
  readonly told: Told[] = [];
  /** The events that its first subscriber was given, as numbers. */
  readonly heard: unknown[] = [];
  readonly gaps: string[] = [];
  readonly #browser: Browser;
  readonly #waiting: (() => void)[] = [];
  #state: "running" | "frozen" | "gone" = "running";
  #tell: (signal: PageSignal) => void = () => {};
  user: string;
  visible: boolean;
  /** How long what the others say is on its way to it. */
  slowMs = 0;

  constructor(
    browser: Browser,
    user: string,
    { visible = true, names }: { visible?: boolean; names?: string | null },
  ) {
    this.#browser = browser;
    this.user = user;
    this.visible = visible;
    const options = {
      url: "/realtime",
      environment: this.#environment(),
      settings: { transports: ["websocket"] as const },
      auth: () => undefined,
      tell: (effect: Told) => this.#note(effect),
    };
    const ask = async (): Promise<string | null> =>
      names === undefined ? JSON.stringify([this.user, null]) : names;
    this.engine = openShared(options, this.#world(), ask);
  }

  get status(): Extract<Told, { effect: "status" }> | undefined {
    return this.told.filter((effect) => effect.effect === "status").at(-1);
  }

  subscribe(topic: string, since: Since = {}, subscriber = 1): void {
    this.engine.feed({ input: "subscribe", subscriber, topics: [topic], since });
  }

  close(): void {
    this.page("page_hide");
    this.crash();
  }

  /** Gone without a word. */
  crash(): void {
    this.#state = "gone";
    this.#browser.gone(this);
  }

  /** Stands still, with all its locks. */
  freeze(): void {
    this.#state = "frozen";
  }

  thaw(): void {
    this.#state = "running";
    this.page("thaw");
    for (const run of this.#waiting.splice(0)) run();
  }

  page(signal: PageSignal): void {
    if (signal === "visible" || signal === "hidden") this.visible = signal === "visible";
    this.#tell(signal);
  }

  /** Run in the tab's own time, as soon as it has any. */
  later(run: () => void): void {
    this.#browser.time.microtask(() => this.now(run));
  }

  now(run: () => void): void {
    if (this.#state === "frozen") this.#waiting.push(run);
    else if (this.#state === "running") run();
  }

  #note(effect: Told): void {
    this.told.push(effect);
    if (effect.effect === "gap") this.gaps.push(effect.reason);
    if (effect.effect === "deliver" && (effect.to?.includes(1) ?? true)) {
      this.heard.push(effect.event.data.payload);
    }
  }

  #world(): TabWorld {
    const browser = this.#browser;
    return {
      hold: (name, steal, events) => ({
        release: browser.hold(name, steal, { tab: this, events }),
      }),
      held: async () => browser.held(),
      line: (name, hear) => {
        const line = { name, tab: this, hear };
        browser.lines.add(line);
        return {
          post(message) {
            const copy = structuredClone(message);
            browser.said.push(copy);
            for (const other of browser.lines) {
              if (other.name !== name || other === line) continue;
              const hear = (): void => {
                if (browser.lines.has(other)) other.hear(copy);
              };
              if (other.tab.slowMs === 0) other.tab.later(hear);
              else browser.time.timer(other.tab.slowMs, () => other.tab.now(hear));
            }
          },
          close: () => browser.lines.delete(line),
        };
      },
    };
  }

  #environment(): Environment {
    const browser = this.#browser;
    const tab = this;
    let hex = 0;
    const number = browser.tabs.length + 1;
    return {
      ...browserEnvironment(),
      now: () => browser.time.now(),
      random: () => 0.5,
      randomHex: () => `tab${number}-${++hex}`,
      timer: (ms, run) => {
        let over = false;
        const stop = browser.time.timer(ms, () =>
          this.now(() => {
            if (!over) run();
          }),
        );
        return () => {
          over = true;
          stop();
        };
      },
      microtask: (run) => browser.time.microtask(() => this.now(run)),
      base: "https://app.example/",
      inert: false,
      page: () => ({ hidden: !this.visible, prerendering: false }),
      recall: () => null,
      remember: () => {},
      watchPage: (tell) => {
        this.#tell = tell;
        return () => {
          this.#tell = () => {};
        };
      },
      WebSocket: class extends FakeSocket {
        constructor() {
          super(browser.server(tab.user));
          browser.dials += 1;
        }

        override say(text: string): void {
          tab.now(() => super.say(text));
        }
      },
    };
  }
}

/** Publish numbers, each an event of the topic. */
export function publish(server: FakeServer, topic: string, ...numbers: number[]): void {
  for (const payload of numbers) {
    server.emit({ topic, event: "UPDATED", data: { entity_id: "gift-7", payload } });
  }
}
