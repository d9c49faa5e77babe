/** One tab in one group, from when it comes to when it goes: the locks, the channel, and the host where it leads. */

import type { Told } from "../driver.js";
import type { Engine } from "../engine.js";
import type { Environment } from "../environment.js";
import { Group, type GroupEffect, type GroupInput } from "./group.js";
import { Host } from "./host.js";
import type { Punctual } from "./punctual.js";
import type { Seat } from "./seat.js";
import type { Message, News, Wish } from "./values.js";
import type { Hold, Line, TabWorld } from "./world.js";

/** A new leader waits so long for the tabs that it knows of: the oldest position among them is where it begins. */
const GATHER_MS = 250;

export interface MembershipOptions {
  /** The name of the group; its locks and its channel are called after it. */
  readonly name: string;
  readonly tab: string;
  readonly world: TabWorld;
  readonly environment: Environment;
  readonly timers: Punctual;
  readonly seat: Seat;
  readonly visible: () => boolean;
  readonly open: (tell: (effect: Told) => void) => Engine;
  /** This tab's leader has gone, or it leads no longer. */
  readonly detached: () => void;
  /** This page may have no locks. */
  readonly failed: () => void;
  /** The leader found itself to be another user. */
  readonly scattered: () => void;
}

export class Membership {
  readonly #options: MembershipOptions;
  readonly #group = new Group();
  readonly #own: Hold;
  readonly #watched = new Map<string, Hold>();
  /** What the other tabs have said to a leader that does not listen yet. */
  #early: (() => void)[] | null = null;
  /** How many other tabs there are, once that is known. */
  #others: number | null = null;
  #host: Host | null = null;
  #line: Line | null = null;
  #lock: Hold | null = null;
  #stopTimer: (() => void) | null = null;
  #stopGathering: (() => void) | null = null;

  constructor(options: MembershipOptions) {
    this.#options = options;
    const { name, tab, world } = options;
    // It tells the leader when this tab ends without a word; so it comes before the first word.
    this.#own = world.hold(lockOf(name, tab), false, {
      granted: () => this.#start(),
      failed: options.failed,
    });
  }

  get generation(): number {
    return this.#host?.generation ?? 0;
  }

  get leads(): boolean {
    return this.#group.state === "leading";
  }

  /** There is a leader that hears this tab. */
  get attached(): boolean {
    const { state } = this.#group;
    return state === "following" || (state === "leading" && this.#host !== null);
  }

  /** Hand a wish to the leader; where there is none, it will be part of the next `hello`. */
  wish(wish: Wish, count: number): void {
    const { tab } = this.#options;
    const { state, term } = this.#group;
    if (state === "leading") this.#host?.wish(tab, count, wish);
    else if (state === "following") this.#line?.post({ kind: "wish", tab, term, count, wish });
  }

  /** The page of this tab, as far as it concerns who leads. */
  see(input: "visible" | "hidden" | "take"): void {
    this.#handle({ input });
  }

  /** What this page knows of the network, for its own connection where it leads. */
  feed(input: Parameters<Host["feed"]>[0]): void {
    this.#host?.feed(input);
  }

  tellOthers(message: Message): void {
    this.#line?.post(message);
  }

  leave(): void {
    this.#handle({ input: "leave" });
    this.#line?.close();
    this.#line = null;
    this.#own.release();
  }

  #start(): void {
    const { name, world, tab, visible } = this.#options;
    this.#line = world.line(name, (message) => this.#hear(message));
    this.#handle({ input: "start", tab, visible: visible() });
  }

  #handle(input: GroupInput): void {
    const { environment } = this.#options;
    const effects = this.#group.handle(input, environment.now(), environment.random());
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: GroupEffect): void {
    switch (effect.effect) {
      case "queue":
        this.#hold(false);
        break;
      case "steal":
        this.#hold(true);
        break;
      case "release":
        this.#lock?.release();
        this.#lock = null;
        break;
      case "timer":
        this.#stopTimer?.();
        this.#stopTimer = this.#options.timers.timer(effect.ms, () =>
          this.#handle({ input: "timer" }),
        );
        break;
      case "cancel":
        this.#stopTimer?.();
        break;
      case "post":
        this.#line?.post(effect.message);
        break;
      case "lead":
        this.#gather();
        break;
      case "follow":
        this.#sayHello(effect.term);
        break;
      default:
        this.#detach();
    }
  }

  #hold(steal: boolean): void {
    const { name, world } = this.#options;
    this.#lock?.release();
    this.#lock = world.hold(lockOf(name, "leader"), steal, {
      granted: () => this.#handle({ input: "granted" }),
      lost: () => this.#handle({ input: "lost" }),
    });
  }

  #sayHello(term: number): void {
    const { tab, seat, visible, environment } = this.#options;
    const hello = seat.hello(visible(), environment.now());
    this.#line?.post({ kind: "hello", tab, term, hello });
  }

  #detach(): void {
    this.#stopGathering?.();
    this.#early = null;
    this.#host?.end();
    this.#host = null;
    for (const watched of this.#watched.values()) watched.release();
    this.#watched.clear();
    this.#options.detached();
  }

  /** Lead, once all tabs that live have said where they are; one that is frozen is not waited for long. */
  #gather(): void {
    const { name, tab, world, environment } = this.#options;
    const early: (() => void)[] = [];
    this.#early = early;
    this.#others = null;
    this.#stopGathering = environment.timer(GATHER_MS, () => this.#open());
    const prefix = lockOf(name, "");
    const mine = [lockOf(name, tab), lockOf(name, "leader")];
    world.held().then(
      (locks) => {
        if (this.#early !== early) return;
        const others = locks.filter((lock) => lock.startsWith(prefix) && !mine.includes(lock));
        this.#others = others.length;
        this.#openIfAllCame();
      },
      () => {}, // then the timer decides
    );
  }

  #openIfAllCame(): void {
    if (this.#others !== null && this.#watched.size >= this.#others) this.#open();
  }

  #open(): void {
    const { tab, seat, visible, environment, open } = this.#options;
    const early = this.#early ?? [];
    this.#stopGathering?.();
    this.#early = null;
    this.#host = new Host({
      open,
      post: (news) => this.#tell(news),
      microtask: (run) => environment.microtask(run),
    });
    this.#host.hello(tab, seat.hello(visible(), environment.now()));
    for (const run of early) run();
  }

  #tell(news: News[]): void {
    const { tab, seat } = this.#options;
    this.#line?.post({ kind: "news", tab, term: this.#group.term, news });
    seat.hear(news, tab);
  }

  #hear(message: Message): void {
    const { seat, tab, timers, scattered } = this.#options;
    timers.look();
    this.#handle({ input: "message", message });
    if (message.kind === "scatter") scattered();
    else if (message.kind === "news") {
      if (this.#group.state === "following" && message.term === this.#group.term) {
        seat.hear(message.news, tab);
      }
    } else if (this.#group.state === "leading") this.#serve(message);
  }

  /** As the leader: what a guest says. */
  #serve(message: Message): void {
    const { tab } = message;
    const isOurs = !("term" in message) || message.term === this.#group.term;
    if (!isOurs) return;
    if (message.kind === "hello") {
      this.#watch(tab);
      this.#whenOpen(() => this.#host?.hello(tab, message.hello));
    } else if (message.kind === "wish") {
      this.#whenOpen(() => this.#host?.wish(tab, message.count, message.wish));
    } else if (message.kind === "bye") {
      this.#watched.get(tab)?.release();
      this.#watched.delete(tab);
      this.#whenOpen(() => this.#host?.leave(tab));
    }
  }

  #whenOpen(run: () => void): void {
    if (this.#early === null) run();
    else {
      this.#early.push(run);
      this.#openIfAllCame();
    }
  }

  /** A tab that ends without a word gives its own lock back. */
  #watch(tab: string): void {
    if (this.#watched.has(tab)) return;
    const { name, world } = this.#options;
    const gone = (): void => {
      this.#watched.get(tab)?.release();
      this.#watched.delete(tab);
      this.#whenOpen(() => this.#host?.leave(tab));
    };
    this.#watched.set(tab, world.hold(lockOf(name, tab), false, { granted: gone }));
  }
}

function lockOf(group: string, what: string): string {
  return `${group} ${what}`;
}
