/**
 * Keeps one piece of data in step with its topics.
 *
 * The data has a position in each topic: that of the response it came from (header Tidings-Cursor), moved on by
 * each event that is applied. Events at or before it are dropped; a response that is older than events already
 * seen has these laid over it before it is written, so a value never goes back.
 */

import type { TidingsEvent } from "../core/event.js";
import type { Gap, Live, TopicState } from "../core/types.js";
import { Coalescer } from "./coalesce.js";
import type { CursorsByTopic, Host } from "./host.js";
import { judge } from "./judge.js";
import { type Layers, tick } from "./layers.js";
import { Liveness, POLLING } from "./liveness.js";
import { Polling } from "./polling.js";
import { DataPositions } from "./positions.js";
import { type Received, ReceivedEvents } from "./received.js";
import { References } from "./references.js";
import { Revisions } from "./revisions.js";
import type { AnyRules } from "./rules.js";

/** One run of the application's function that fetches. */
export interface Run {
  /** When it began, in ticks. */
  readonly tick: number;
  /** The topics that were live when it began, with their positions. */
  readonly positions: ReadonlyMap<string, string | null>;
  /** The events that had been received. */
  readonly received: number;
}

export interface FollowerOptions {
  readonly live: Live;
  readonly host: Host;
  /** What this page's own changes lay over the data. */
  readonly layers: Layers;
  /** The rules of this moment, for components may write them inline. */
  readonly rules: () => AnyRules;
  /** The first fetch after a quiet time waits a random part of this, in milliseconds. */
  readonly spreadMs: number;
}

/** A change of this page has become part of the data, which went from `before` to `after`. */
type End = (traceId: string | undefined, before: unknown, after: unknown) => void;

/** Between two writes: a screen shows no more pictures than this. */
const FRAME_MS = 17;

const NO_RUN: Run = { tick: 0, positions: new Map(), received: 0 };

export class Follower {
  readonly liveness: Liveness = new Liveness();
  readonly #options: FollowerOptions;
  readonly #coalescer: Coalescer;
  readonly #references: References;
  readonly #polling: Polling;
  readonly #revisions = new Revisions();
  /** Where the data is, by topic. */
  readonly #positions: DataPositions;
  readonly #received = new ReceivedEvents();
  readonly #unapplied: Received[] = [];
  #topics: readonly string[] = [];
  /** Topics whose data was read before they were live: fetch once they are. */
  readonly #unsure = new Set<string>();
  readonly #undo: (() => void)[] = [];
  #off: () => void = () => {};
  #applyTimer: ReturnType<typeof setTimeout> | null = null;
  #appliedAt = Number.NEGATIVE_INFINITY;
  #run: Run = NO_RUN;
  /** Changes of this page that are in the response which is about to be written. */
  readonly #ending: Parameters<End>[] = [];
  /** Since when the data is known to lack something, in ticks; null: it lacks nothing. */
  #oldSince: number | null = null;

  constructor(options: FollowerOptions) {
    this.#options = options;
    const { host, live, spreadMs, rules } = options;
    this.#positions = new DataPositions(host.recall());
    this.#coalescer = new Coalescer(() => this.#fetch(), { spreadMs }, host);
    this.#references = new References({
      attention: host,
      spreadMs,
      fetched: (events, entity) => this.#referred(events, entity),
      failed: () => this.refetch(),
    });
    this.#polling = new Polling(() => this.#coalescer.request());
    this.#undo.push(
      this.liveness.listen((state) => this.#polling.set(state === POLLING)),
      live.onStatus(() => this.#watchLiveness()),
      host.onResponse(() => this.#landed()),
    );
    const { resyncMs } = rules();
    if (resyncMs !== undefined) {
      const timer = setInterval(() => this.refetch(), resyncMs);
      this.#undo.push(() => clearInterval(timer));
    }
  }

  /** Follow these topics from now on. */
  follow(topics: readonly string[]): void {
    if (topics.join("\n") === this.#topics.join("\n")) return;
    this.#topics = topics;
    const data = this.#options.host.read();
    for (const topic of topics) {
      if (data !== undefined && this.#positions.get(topic) === undefined) this.#unsure.add(topic);
    }
    this.#subscribe();
  }

  stop(): void {
    this.#off();
    for (const undo of this.#undo.splice(0)) undo();
    this.#coalescer.stop();
    this.#references.stop();
    this.#polling.stop();
    if (this.#applyTimer !== null) clearTimeout(this.#applyTimer);
    this.liveness.stop();
    this.#remember();
  }

  /** The data is old. */
  refetch(urgent = false): void {
    this.#oldSince ??= tick();
    this.#coalescer.request(urgent);
  }

  /** A poll that fails is tried again by the next one. */
  async #fetch(): Promise<boolean> {
    return (await this.#options.host.refetch()) || this.liveness.state === POLLING;
  }

  /** A fetch begins, ours or another's. */
  begin(): Run {
    this.#coalescer.served();
    const { live } = this.#options;
    const held = this.#topics.filter((topic) => this.#isLive(topic));
    this.#run = {
      tick: tick(),
      positions: new Map(held.map((topic) => [topic, live.position(topic)])),
      received: this.#received.count,
    };
    return this.#run;
  }

  /** A fetch has failed. */
  failed(run: Run | null): void {
    if (run === this.#run && this.#oldSince !== null) this.#coalescer.failed();
  }

  /**
   * A response: what is to be written, with the events over it that it does not hold. A run that another has
   * taken the place of is none of ours; `null` is one that began before this follower.
   */
  respond(run: Run | null, data: unknown, cursors: CursorsByTopic | null): unknown {
    if (run !== null && run !== this.#run) return data;
    const missing: Received[] = [];
    let moved = false;
    for (const topic of this.#topics) {
      const cursor = cursors?.[topic] ?? null;
      this.#unsure.delete(topic);
      const from = this.#received.from.get(topic);
      const standing = cursor === null ? "unknown" : this.#positions.standing(topic, cursor, from);
      if (cursor === null || standing === "unknown") {
        this.#respondBlind(run ?? NO_RUN, topic);
        continue;
      }
      this.#positions.set(topic, cursor);
      if (standing === "covered") missing.push(...this.#received.after(topic, cursor));
      else moved = true;
    }
    // The stream goes on from the response: the client replays what it holds, or the server does.
    if (moved) this.#subscribe();
    const { host, rules } = this.#options;
    const newest = this.#revisions.newest(data, host.read(), rules());
    return missing
      .sort((a, b) => a.number - b.number)
      .reduce<unknown>(
        // Changes that end with it stay until it has been written, for below them the data is still the old one.
        (before, { event }) => this.#applied(before, event, (...end) => this.#ending.push(end)),
        newest,
      );
  }

  /** A response that does not say where it stands: what came meanwhile may be in it or not. */
  #respondBlind(run: Run, topic: string): void {
    const position = run.positions.get(topic);
    if (position === undefined) {
      this.#positions.forget(topic);
      if (this.#isLive(topic)) this.refetch();
      else this.#unsure.add(topic);
    } else {
      const newer = this.#received.isNewSince(run.received, topic);
      if (newer) this.refetch();
      const now = this.#options.live.position(topic);
      if (!newer && now !== null) this.#positions.set(topic, now);
    }
  }

  #subscribe(): void {
    const before = this.#off;
    const { live } = this.#options;
    this.#off = live.subscribe(this.#topics, (event) => this.#onEvent(event), {
      since: this.#positions.of(this.#topics),
      onGap: (gap) => this.#onGap(gap),
      onState: (state, topic) => this.#onState(state, topic),
    });
    before();
    for (const topic of this.#topics) {
      if (!this.#isLive(topic)) this.#received.from.delete(topic);
      else {
        this.#startsHere(topic);
        if (this.#unsure.delete(topic)) this.refetch();
      }
    }
    this.#watchLiveness();
  }

  /** The topic is live: from the data's own position, else from where its stream is now. */
  #startsHere(topic: string): void {
    const from = this.#positions.get(topic) ?? this.#options.live.position(topic);
    if (from !== null) this.#received.from.set(topic, from);
  }

  #onState(state: TopicState, topic: string): void {
    if (state.state === "live") {
      this.#startsHere(topic);
      // Also where a poll was to fetch what an event did not say, and failed.
      if (this.#unsure.delete(topic) || this.#oldSince !== null) this.refetch();
    }
    this.#watchLiveness();
  }

  #onGap({ topic, cursor }: Gap): void {
    this.#positions.forget(topic);
    this.#revisions.distrust();
    if (cursor === null) this.#received.from.delete(topic);
    else this.#received.from.set(topic, cursor);
    this.refetch();
  }

  #onEvent(event: TidingsEvent): void {
    this.#unapplied.push(this.#received.add(event));
    // One write and one render for all that arrives at once; and in a stream, one for each frame.
    const wait = Math.max(0, this.#appliedAt + FRAME_MS - Date.now());
    this.#applyTimer ??= setTimeout(() => this.#applyAll(), wait);
  }

  #applyAll(): void {
    this.#applyTimer = null;
    const received = this.#unapplied.splice(0).filter(({ event }) => this.#positions.isNew(event));
    this.#write(received.map(({ event }) => event));
  }

  /** Before the first response there is nothing to apply to; what the response lacks is laid over it. */
  #write(events: readonly TidingsEvent[]): void {
    const { host, layers } = this.#options;
    if (events.length === 0) return;
    this.#appliedAt = Date.now();
    layers.batch(() => {
      const data = host.read();
      if (data === undefined) return;
      const end: End = (...change) => layers.end(...change);
      const next = events.reduce<unknown>(
        (before, event) => this.#applied(before, event, end),
        data,
      );
      if (next !== data) host.write(next);
    });
  }

  /** The data after an event; the change of this page that the event confirms is over with it. */
  #applied(data: unknown, event: TidingsEvent, end: End): unknown {
    const rules = this.#options.rules();
    const own = this.#options.layers.has(event.trace_id);
    const verdict = judge(rules, this.#revisions, data, event);
    if (verdict.to === "write") {
      this.#references.overtaken(event.data.entity_id);
      this.#positions.passed(event);
      if (own) end(event.trace_id, data, verdict.data);
      return verdict.data;
    }
    if (own) this.#options.layers.settle(event.trace_id);
    if (verdict.to === "ignore") this.#positions.passed(event);
    else if (verdict.to === "invalidate") {
      this.#oldSince ??= tick();
      this.#options.host.invalidate();
    } else if (verdict.to === "refetch") this.refetch(own);
    else if (rules.fetchEntity === undefined) this.refetch(own);
    else {
      this.#positions.passed(event);
      if (!this.#references.ask(rules.fetchEntity, event, own)) this.refetch(own);
    }
    return data;
  }

  /** What an event without a payload spoke of has been fetched. */
  #referred(events: readonly TidingsEvent[], entity: unknown): void {
    this.#write(
      events.slice(-1).map((event) => ({
        ...event,
        event: entity === null ? "DELETED" : this.#nameFor(events, event.event),
        data: { ...event.data, payload: entity },
      })),
    );
    for (const { trace_id } of events) this.#options.layers.end(trace_id, null, null);
  }

  /** One that was added and then changed, before it was fetched, is added. */
  #nameFor(events: readonly TidingsEvent[], last: string): string {
    return events.some(({ event }) => event === "ADDED") ? "ADDED" : last;
  }

  /** A response has been written: changes that were settled before it was asked for are in it. */
  #landed(): void {
    if (this.#oldSince !== null && this.#oldSince < this.#run.tick) this.#oldSince = null;
    const { layers } = this.#options;
    for (const end of this.#ending.splice(0)) layers.end(...end);
    layers.endSettledBefore(this.#run.tick);
    this.#remember();
  }

  /** The position stays beside the data, and is dehydrated and persisted with it; unless the data lacks something. */
  #remember(): void {
    const isWhole = this.#oldSince === null && !this.#references.isBusy;
    this.#options.host.remember(isWhole ? this.#positions.all() : null);
  }

  #watchLiveness(): void {
    if (this.#topics.length === 0) return;
    const live = this.#topics.every((topic) => this.#isLive(topic));
    const fetch = this.liveness.note(live, this.#options.live.status);
    // A first response is on its way by itself.
    if (fetch !== null && this.#options.host.read() !== undefined)
      this.#coalescer.request(fetch === "now");
  }

  #isLive(topic: string): boolean {
    return this.#options.live.topicState(topic).state === "live";
  }
}
