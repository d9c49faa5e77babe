/**
 * Keeps one query in step with its topics.
 *
 * The query's data has a position in each topic: that of the response it came from (header Tidings-Cursor),
 * moved on by each event that is applied. Events at or before it are dropped; a response that is older than
 * events already seen has these laid over it before it is written, so a value never goes back.
 */

import { notifyManager, type QueryClient, type QueryKey } from "@tanstack/react-query";
import { compareCursors } from "../core/cursor.js";
import type { TidingsEvent } from "../core/event.js";
import type { Gap, Live, TopicState } from "../core/types.js";
import { Coalescer, refetchAfter } from "./coalesce.js";
import { type Layers, layersOf, tick } from "./layers.js";
import { Liveness } from "./liveness.js";
import { type CursorsByTopic, keepPositions, positionsIn } from "./positions.js";

/** What `apply` answers to an event that it cannot apply: the query is fetched anew. */
export const REFETCH: unique symbol = Symbol.for("tidings.refetch");

export type Apply = (data: unknown, event: TidingsEvent) => unknown;

/** One run of the application's query function. */
export interface Run {
  /** When it began, in ticks. */
  readonly tick: number;
  /** The topics that were live when it began, with their positions. */
  readonly positions: ReadonlyMap<string, string | null>;
  /** The events that had been received. */
  readonly received: number;
}

export interface FollowerOptions {
  readonly client: QueryClient;
  readonly live: Live;
  readonly queryKey: QueryKey;
  readonly hash: string;
  readonly spreadMs: number;
  /** The hook's function of this moment; undefined: refetch for every event. */
  readonly apply: () => Apply | undefined;
}

const BUFFER_MS = 30_000;
const BUFFER_EVENTS = 256;

const NO_RUN: Run = { tick: 0, positions: new Map(), received: 0 };

interface Received {
  readonly at: number;
  readonly number: number;
  readonly event: TidingsEvent;
}

export class Follower {
  readonly liveness: Liveness = new Liveness();
  readonly #options: FollowerOptions;
  readonly #layers: Layers;
  readonly #coalescer: Coalescer;
  /** Where the data is, by topic. */
  readonly #positions: Map<string, string>;
  /** Every event after this position is in the buffer or was applied. */
  readonly #from = new Map<string, string>();
  readonly #buffer: Received[] = [];
  readonly #unapplied: Received[] = [];
  #topics: readonly string[] = [];
  /** Topics whose data was read before they were live: fetch once they are. */
  readonly #unsure = new Set<string>();
  /** Topics of which the last response did not fit the stream. */
  readonly #apart = new Set<string>();
  #received = 0;
  #off: () => void = () => {};
  #offCache: () => void = () => {};
  #offStatus: () => void = () => {};
  #applyTimer: ReturnType<typeof setTimeout> | null = null;
  #run: Run = NO_RUN;

  constructor(options: FollowerOptions) {
    this.#options = options;
    const { client, queryKey, hash, spreadMs } = options;
    this.#layers = layersOf(client, hash);
    this.#positions = new Map(Object.entries(positionsIn(client, hash) ?? {}));
    this.#coalescer = new Coalescer(() => refetchAfter(client, queryKey, hash), { spreadMs });
    this.#offStatus = options.live.onStatus(() => this.#watchLiveness());
    this.#offCache = client.getQueryCache().subscribe(({ type, query, ...rest }) => {
      const action = "action" in rest ? rest.action : null;
      if (type === "updated" && query.queryHash === hash && action?.type === "success") {
        if (action.manual !== true) this.#landed();
      }
    });
  }

  /** Follow these topics from now on. */
  follow(topics: readonly string[]): void {
    if (topics.join("\n") === this.#topics.join("\n")) return;
    this.#topics = topics;
    const data = this.#data();
    for (const topic of topics) {
      if (data !== undefined && !this.#positions.has(topic)) this.#unsure.add(topic);
    }
    this.#subscribe();
  }

  stop(): void {
    this.#off();
    this.#offCache();
    this.#offStatus();
    this.#coalescer.stop();
    if (this.#applyTimer !== null) clearTimeout(this.#applyTimer);
    this.liveness.stop();
    this.#remember();
  }

  /** The data is old. */
  refetch(urgent = false): void {
    this.#coalescer.request(urgent);
  }

  begin(): Run {
    const { live } = this.#options;
    const held = this.#topics.filter((topic) => this.#isLive(topic));
    this.#run = {
      tick: tick(),
      positions: new Map(held.map((topic) => [topic, live.position(topic)])),
      received: this.#received,
    };
    return this.#run;
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
      const standing = cursor === null ? "unknown" : this.#standing(topic, cursor);
      if (cursor === null || standing === "unknown") {
        this.#respondBlind(run ?? NO_RUN, topic);
        continue;
      }
      this.#positions.set(topic, cursor);
      if (standing === "covered") missing.push(...this.#after(topic, cursor));
      else moved = true;
    }
    // The stream goes on from the response: the client replays what it holds, or the server does.
    if (moved) this.#subscribe();
    return this.#fold(
      data,
      missing.sort((a, b) => a.number - b.number),
    );
  }

  /**
   * How a response stands to the stream: `covered`, all that came after it is here; `apart`, the stream must begin
   * anew from it. Where that did not help the time before, servers disagree about positions: then it is `unknown`,
   * for asking again and again would help no more.
   */
  #standing(topic: string, cursor: string): "covered" | "apart" | "unknown" {
    const from = this.#from.get(topic);
    if (from !== undefined && (compareCursors(cursor, from) ?? -1) >= 0) {
      this.#apart.delete(topic);
      return "covered";
    }
    if (from === undefined) return "apart";
    if (this.#apart.has(topic)) return "unknown";
    this.#apart.add(topic);
    return "apart";
  }

  /** A response that does not say where it stands: what came meanwhile may be in it or not. */
  #respondBlind(run: Run, topic: string): void {
    const position = run.positions.get(topic);
    if (position === undefined) {
      this.#positions.delete(topic);
      if (this.#isLive(topic)) this.refetch();
      else this.#unsure.add(topic);
    } else {
      const newer = this.#buffer.some(
        ({ number, event }) => number > run.received && concerns(event, topic),
      );
      if (newer) this.refetch();
      const now = this.#options.live.position(topic);
      if (!newer && now !== null) this.#positions.set(topic, now);
    }
  }

  #after(topic: string, cursor: string): Received[] {
    return this.#buffer.filter(
      ({ event }) => event.topic === topic && compareCursors(event.cursor, cursor) === 1,
    );
  }

  #subscribe(): void {
    const before = this.#off;
    const { live } = this.#options;
    const since = Object.fromEntries(
      this.#topics.flatMap((topic) => {
        const position = this.#positions.get(topic);
        return position === undefined ? [] : [[topic, position] as const];
      }),
    );
    this.#off = live.subscribe(this.#topics, (event) => this.#onEvent(event), {
      since,
      onGap: (gap) => this.#onGap(gap),
      onState: (state, topic) => this.#onState(state, topic),
    });
    before();
    for (const topic of this.#topics) {
      if (this.#isLive(topic)) this.#startsHere(topic);
      else this.#from.delete(topic);
    }
    this.#watchLiveness();
  }

  /** The topic is live: from the data's own position, else from where its stream is now. */
  #startsHere(topic: string): void {
    const from = this.#positions.get(topic) ?? this.#options.live.position(topic);
    if (from !== null) this.#from.set(topic, from);
  }

  #onState(state: TopicState, topic: string): void {
    if (state.state === "live") {
      this.#startsHere(topic);
      if (this.#unsure.delete(topic)) this.refetch();
    }
    this.#watchLiveness();
  }

  #onGap({ topic, cursor }: Gap): void {
    this.#positions.delete(topic);
    if (cursor === null) this.#from.delete(topic);
    else this.#from.set(topic, cursor);
    this.refetch();
  }

  #onEvent(event: TidingsEvent): void {
    const received = { at: Date.now(), number: ++this.#received, event };
    this.#buffer.push(received);
    while (this.#buffer.length > BUFFER_EVENTS || this.#isTooOld(this.#buffer[0])) {
      const dropped = this.#buffer.shift();
      if (dropped !== undefined) this.#from.set(dropped.event.topic, dropped.event.cursor);
    }
    this.#unapplied.push(received);
    // One write and one render for all that arrives at once.
    this.#applyTimer ??= setTimeout(() => this.#applyAll(), 0);
  }

  #isTooOld(received: Received | undefined): boolean {
    return received !== undefined && Date.now() - received.at > BUFFER_MS;
  }

  #applyAll(): void {
    this.#applyTimer = null;
    const events = this.#unapplied.splice(0).filter(({ event }) => this.#isNew(event));
    if (events.length === 0) return;
    const { client, queryKey } = this.#options;
    notifyManager.batch(() => {
      const data = this.#data();
      // Before the first response there is nothing to apply to; what the response lacks is laid over it.
      if (data === undefined) return;
      const next = this.#fold(data, events);
      if (next !== data) client.setQueryData(queryKey, next);
    });
  }

  #isNew({ topic, cursor }: TidingsEvent): boolean {
    const position = this.#positions.get(topic);
    return position === undefined || (compareCursors(cursor, position) ?? 1) === 1;
  }

  /** Apply events in order; the change of this page that an event confirms is over with it. */
  #fold(data: unknown, events: readonly Received[]): unknown {
    const apply = this.#options.apply();
    let result = data;
    for (const { event } of events) {
      const own = this.#layers.get().some(({ traceId }) => traceId === event.trace_id);
      const next = apply === undefined ? REFETCH : this.#applyOne(apply, result, event);
      if (next === REFETCH) {
        this.refetch(own);
        if (own) this.#confirm(event.trace_id);
        continue;
      }
      result = next;
      if (typeof event.cursor === "string") this.#positions.set(event.topic, event.cursor);
      if (own) this.#layers.remove(({ traceId }) => traceId === event.trace_id);
    }
    return result;
  }

  #applyOne(apply: Apply, data: unknown, event: TidingsEvent): unknown {
    try {
      return apply(data, event);
    } catch {
      return REFETCH; // what cannot be applied can be fetched
    }
  }

  /** The server has told of the change: any fetch from now on holds it. */
  #confirm(traceId: string | undefined): void {
    for (const layer of this.#layers.get()) {
      if (layer.traceId === traceId) layer.settledAt ??= tick();
    }
  }

  /** A response has been written: changes that were settled before it was asked for are in it. */
  #landed(): void {
    this.#layers.remove(({ settledAt }) => settledAt !== null && settledAt < this.#run.tick);
    this.#remember();
  }

  /** The position stays beside the data, and is dehydrated and persisted with it. */
  #remember(): void {
    const { client, hash } = this.#options;
    if (this.#positions.size > 0) keepPositions(client, hash, Object.fromEntries(this.#positions));
  }

  #data(): unknown {
    return this.#options.client.getQueryData(this.#options.queryKey);
  }

  #watchLiveness(): void {
    if (this.#topics.length === 0) return;
    const live = this.#topics.every((topic) => this.#isLive(topic));
    const fetch = this.liveness.note(live, this.#options.live.status);
    // A first response is on its way by itself.
    if (fetch !== null && this.#data() !== undefined) this.refetch(fetch === "now");
  }

  #isLive(topic: string): boolean {
    return this.#options.live.topicState(topic).state === "live";
  }
}

function concerns(event: TidingsEvent, topic: string): boolean {
  return (
    event.topic === topic || (topic.endsWith(":*") && event.topic.startsWith(topic.slice(0, -1)))
  );
}
