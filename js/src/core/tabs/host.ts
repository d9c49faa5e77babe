/**
 * The leader's side: the subscribers of all tabs as subscribers of one connection.
 *
 * What the connection's machine tells is addressed and collected, and goes to the tabs in one message for each
 * task, in its order.
 */

import type { Told } from "../driver.js";
import type { Engine } from "../engine.js";
import type { TopicSnapshot } from "../machine/machine.js";
import { Company } from "./company.js";
import type { Addressed, Hello, Lease, News, Wish } from "./values.js";

interface Tab {
  /** The machine's number of each subscriber. */
  readonly leases: Map<number, { number: number; topics: readonly string[] }>;
  visible: boolean;
  count: number;
  /** It has said something that has not been answered yet. */
  asked: boolean;
  /** It has just come. */
  fresh: boolean;
}

type Status = Extract<Told, { effect: "status" }>;
/** What a machine that has told nothing yet is. */
const IDLE: Status = {
  effect: "status",
  state: "idle",
  reason: null,
  code: null,
  attempt: 0,
  wait_ms: null,
  transport: null,
  refetching: false,
};

export interface HostOptions {
  readonly open: (tell: (effect: Told) => void) => Engine;
  /** News for all tabs, this one among them. */
  readonly post: (news: News[]) => void;
  /** Run when the current task has ended. */
  readonly microtask: (run: () => void) => void;
}

export class Host {
  readonly #options: HostOptions;
  readonly #engine: Engine;
  readonly #company: Company;
  readonly #tabs = new Map<string, Tab>();
  readonly #owners = new Map<number, { tab: string; number: number }>();
  readonly #news: News[] = [];
  #status = IDLE;
  #next = 1;
  #posting = false;
  #hidden = false;
  #over = false;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#engine = options.open((effect) => this.#tell(effect));
    const { wire } = this.#engine;
    this.#company = new Company({
      send: (frame) => wire.send(frame),
      tell: (frame, tab) =>
        this.#add({ effect: "frame", frame, ...(tab === undefined ? {} : { tab }) }),
    });
    wire.heard = (frame) => this.#company.hear(frame);
  }

  get generation(): number {
    return this.#engine.view.generation;
  }

  /** What only the page of the leader can know. */
  feed(input: Parameters<Engine["feed"]>[0]): void {
    if (!this.#over) this.#engine.feed(input);
  }

  /** A tab comes, or says all of it again. */
  hello(name: string, { count, visible, leases, publishes }: Hello): void {
    this.leave(name);
    const tab: Tab = { leases: new Map(), visible, count, asked: false, fresh: true };
    this.#tabs.set(name, tab);
    for (const lease of leases) this.#subscribe(name, tab, lease);
    for (const publish of publishes) this.#wish(name, tab, { input: "publish", ...publish });
    this.#look();
    this.#answer(tab, count);
  }

  /** A tab wants something. */
  wish(name: string, count: number, wish: Wish): void {
    const tab = this.#tabs.get(name);
    if (tab === undefined || this.#over) return;
    this.#wish(name, tab, wish);
    this.#answer(tab, count);
  }

  /** A tab has gone: nothing of it is kept. */
  leave(name: string): void {
    const tab = this.#tabs.get(name);
    if (tab === undefined) return;
    this.#tabs.delete(name);
    this.#company.leave(name);
    for (const id of tab.leases.keys()) this.#unsubscribe(tab, id);
    this.#look();
  }

  /** This leadership is over; nothing is told any more. */
  end(): void {
    this.#over = true;
    this.#engine.feed({ input: "close" });
    this.#engine.end();
  }

  #wish(name: string, tab: Tab, wish: Wish): void {
    switch (wish.input) {
      case "subscribe":
        this.#subscribe(name, tab, wish);
        break;
      case "unsubscribe":
        this.#unsubscribe(tab, wish.subscriber);
        break;
      case "publish":
        this.feed({ ...wish, request: this.#own(name, wish.request) });
        break;
      case "presence":
        this.#company.wish(name, wish.frame);
        break;
      case "visible":
      case "hidden":
        tab.visible = wish.input === "visible";
        this.#look();
        break;
      default:
        this.feed({ input: wish.input });
    }
  }

  #subscribe(name: string, tab: Tab, { subscriber, topics, since }: Lease): void {
    this.#unsubscribe(tab, subscriber);
    const number = this.#own(name, subscriber);
    tab.leases.set(subscriber, { number, topics });
    const starts: [string, string][] = [];
    for (const topic of topics) {
      const start = since[topic] ?? this.#startOf(topic);
      if (typeof start === "string") starts.push([topic, start]);
    }
    this.feed({
      input: "subscribe",
      subscriber: number,
      topics,
      since: Object.fromEntries(starts),
    });
  }

  /** A topic that only lingers has a position that was another tab's: who begins now begins at its end. */
  #startOf(topic: string): string | null {
    const view = this.#engine.view.topic(topic);
    return view !== null && view.leases === 0 && view.state === "live" ? view.cursor : null;
  }

  #unsubscribe(tab: Tab, id: number): void {
    const lease = tab.leases.get(id);
    if (lease === undefined) return;
    tab.leases.delete(id);
    this.#owners.delete(lease.number);
    this.feed({ input: "unsubscribe", subscriber: lease.number });
  }

  #own(tab: string, number: number): number {
    const own = this.#next++;
    this.#owners.set(own, { tab, number });
    return own;
  }

  /** The page that the connection sees: visible where any tab is. */
  #look(): void {
    const hidden = this.#tabs.size > 0 && [...this.#tabs.values()].every((tab) => !tab.visible);
    if (hidden === this.#hidden) return;
    this.#hidden = hidden;
    this.feed({ input: hidden ? "hidden" : "visible" });
  }

  #answer(tab: Tab, count: number): void {
    tab.count = count;
    tab.asked = true;
    this.#postSoon();
  }

  #tell(effect: Told): void {
    if (this.#over) return;
    if (effect.effect === "status") this.#status = effect;
    const news = this.#newsOf(effect);
    if (news !== null) this.#add(news);
  }

  #add(news: News): void {
    this.#news.push(news);
    this.#postSoon();
  }

  #newsOf(effect: Told): News | null {
    switch (effect.effect) {
      case "topic":
        return { ...effect, cursor: this.#engine.view.topic(effect.topic)?.cursor ?? null };
      case "deliver":
      case "gap": {
        const { to, ...rest } = effect;
        return to === undefined ? (rest as News) : ({ ...rest, to: this.#addressed(to) } as News);
      }
      case "settle": {
        const owner = this.#owners.get(effect.request);
        this.#owners.delete(effect.request);
        return owner === undefined ? null : { ...effect, request: owner.number, tab: owner.tab };
      }
      default:
        return effect;
    }
  }

  #addressed(to: readonly number[]): Addressed {
    const byTab: Record<string, number[]> = {};
    for (const one of to) {
      const owner = this.#owners.get(one);
      if (owner === undefined) continue;
      byTab[owner.tab] ??= [];
      byTab[owner.tab]?.push(owner.number);
    }
    return byTab;
  }

  #postSoon(): void {
    if (this.#posting) return;
    this.#posting = true;
    this.#options.microtask(() => {
      this.#posting = false;
      if (!this.#over) this.#post();
    });
  }

  #post(): void {
    for (const [name, tab] of this.#tabs) {
      if (!tab.asked) continue;
      const { count, fresh } = tab;
      const topics = this.#topicsOf(tab);
      const status = fresh ? { status: this.#status, session: this.#company.session } : {};
      this.#news.push({ effect: "joined", tab: name, count, topics, ...status });
      tab.asked = false;
      tab.fresh = false;
    }
    const news = this.#news.splice(0);
    if (news.length > 0) this.#options.post(news);
  }

  #topicsOf(tab: Tab): Record<string, TopicSnapshot> {
    const all: [string, TopicSnapshot][] = [];
    for (const topic of new Set([...tab.leases.values()].flatMap(({ topics }) => topics))) {
      const view = this.#engine.view.topic(topic);
      if (view !== null) all.push([topic, view]);
    }
    return Object.fromEntries(all);
  }
}
