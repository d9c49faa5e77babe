/**
 * What this tab uses, whoever leads: its subscribers with a position each, and its publishes without an answer.
 *
 * Pure but for what it tells. It outlives every leader: to each new one it says where its subscribers are, and so
 * the stream goes on there, without a gap and without a repeat.
 */

import { compareCursors } from "../cursor.js";
import type { Told } from "../driver.js";
import type { TopicSnapshot } from "../machine/machine.js";
import type {
  PublishRequest,
  RawFrame,
  Since,
  SubscriptionState,
  TopicError,
} from "../machine/values.js";
import { Kept } from "./kept.js";
import type { Addressed, Hello, Lease, News, Wish } from "./values.js";

type Status = Extract<Told, { effect: "status" }>;
type Of<N extends News["effect"]> = Extract<News, { effect: N }>;

/** Where one subscriber is in one topic. */
interface Place {
  /** What it has been given; null where there is nothing to go on from. */
  cursor: string | null;
  /** It has been live, so a loss concerns it. */
  served: boolean;
  /** It was live without a position when the leader went. */
  lost: boolean;
}

interface Subscriber {
  readonly places: Map<string, Place>;
  /** The number of the wish by which it came. */
  count: number;
  /** The leader of now knows it. */
  joined: boolean;
}

interface Topic {
  state: SubscriptionState;
  error: TopicError | null;
  cursor: string | null;
  readonly subscribers: Set<number>;
}

/** A publish that was under way when the leader went has so long to find the next. */
const REPEAT_MS = 10_000;

export interface SeatOptions {
  readonly tell: (effect: Told) => void;
  /** Told the frames of the server that are for extensions. */
  readonly hear: (frame: RawFrame) => void;
  /** How long the position of a topic that this tab has left is remembered. */
  readonly keepMs: number;
}

export class Seat {
  readonly #tell: (effect: Told) => void;
  readonly #hear: (frame: RawFrame) => void;
  readonly #subscribers = new Map<number, Subscriber>();
  readonly #topics = new Map<string, Topic>();
  readonly #kept: Kept;
  readonly #publishes = new Map<number, { request: PublishRequest; until: number }>();
  #count = 0;
  #status: Status | null = null;

  constructor({ tell, hear, keepMs }: SeatOptions) {
    this.#tell = tell;
    this.#hear = hear;
    this.#kept = new Kept(keepMs);
  }

  get status(): Status | null {
    return this.#status;
  }

  /** Anything that needs a connection. */
  get wanted(): boolean {
    return this.#subscribers.size > 0 || this.#publishes.size > 0;
  }

  /** The number of a wish: a subscriber has joined when the leader has followed the wish by which it came. */
  number(wish: Wish): number {
    this.#count += 1;
    const subscriber = wish.input === "subscribe" && this.#subscribers.get(wish.subscriber);
    if (subscriber) subscriber.count = this.#count;
    return this.#count;
  }

  topic(name: string): TopicSnapshot | null {
    const topic = this.#topics.get(name);
    if (topic === undefined) return null;
    const { state, error, cursor, subscribers } = topic;
    return { state, error, cursor, leases: subscribers.size };
  }

  topics(): Record<string, TopicSnapshot> {
    const all = [...this.#topics.keys()].map((name) => [name, this.topic(name)] as const);
    return Object.fromEntries(all) as Record<string, TopicSnapshot>;
  }

  /** A subscriber comes; what the leader is to know of it. */
  subscribe(id: number, names: readonly string[], since: Since, now: number): Lease {
    const places = new Map<string, Place>();
    for (const name of new Set(names)) {
      const topic = this.#topics.get(name) ?? create();
      this.#topics.set(name, topic);
      topic.subscribers.add(id);
      const named = Object.hasOwn(since, name) ? since[name] : null;
      places.set(name, {
        cursor: isWildcard(name) ? null : (named ?? this.#recall(name, now)),
        served: false,
        lost: false,
      });
    }
    const subscriber = { places, count: this.#count + 1, joined: false };
    this.#subscribers.set(id, subscriber);
    return leaseOf(id, subscriber);
  }

  /** A subscriber goes. */
  unsubscribe(id: number, now: number): void {
    for (const [name, { cursor }] of this.#subscribers.get(id)?.places ?? []) {
      const topic = this.#topics.get(name);
      topic?.subscribers.delete(id);
      if (topic?.subscribers.size !== 0) continue;
      this.#topics.delete(name);
      if (cursor !== null) this.#kept.put(name, cursor, now);
    }
    this.#subscribers.delete(id);
  }

  /** A publish that waits for its answer; the leader is to have it at once where there is one. */
  publish(request: PublishRequest, now: number): void {
    this.#publishes.set(request.request, { request, until: now + (request.queue_ms ?? 0) });
  }

  /** Refuse what may not wait for a leader; `all`: there will be none. */
  refusePublishes(code: string, now: number, all = false): void {
    for (const [request, { until }] of [...this.#publishes]) {
      if (!all && until > now) continue;
      this.#publishes.delete(request);
      this.#tell({ effect: "settle", request, error: { code } });
    }
  }

  /** What a new leader is to know. */
  hello(visible: boolean, now: number): Hello {
    const leases = [...this.#subscribers].map(([id, subscriber]) => leaseOf(id, subscriber));
    const publishes = [...this.#publishes.values()].map(({ request, until }) => ({
      ...request,
      queue_ms: Math.max(0, until - now),
    }));
    return { count: this.#count, visible, leases, publishes };
  }

  /** There is no leader any more: hold still, at these positions, until there is one. */
  detach(now: number): void {
    for (const subscriber of this.#subscribers.values()) {
      subscriber.joined = false;
      for (const place of subscriber.places.values()) {
        if (place.served && place.cursor === null) place.lost = true;
      }
    }
    for (const entry of this.#publishes.values()) {
      entry.until = Math.max(entry.until, now + REPEAT_MS);
    }
    for (const [name, topic] of this.#topics) {
      if (topic.state === "live") this.#setState(name, topic, "stale", null);
    }
  }

  /** The connection as this tab shows it while nobody leads; `told` is the tab's own word for it. */
  setStatus(told: Pick<Status, "state" | "reason">): void {
    const { state, reason } = this.#status ?? {};
    if (state === told.state && reason === told.reason) return;
    this.#follow({
      effect: "status",
      code: null,
      attempt: 0,
      wait_ms: null,
      transport: null,
      refetching: false,
      ...told,
    });
  }

  /** What the leader has told, in its order. */
  hear(news: readonly News[], tab: string): void {
    for (const one of news) {
      if (one.effect === "status") this.#follow(one);
      else if (one.effect === "report") this.#report(one);
      else if (one.effect === "topic") this.#onTopic(one);
      else if (one.effect === "deliver") this.#deliver(one, tab);
      else if (one.effect === "gap") this.#gap(one, tab);
      else if (one.effect === "frame") this.#onFrame(one, tab);
      else if (one.tab !== tab) continue;
      else if (one.effect === "joined") this.#onJoined(one);
      else if (this.#publishes.delete(one.request)) this.#tell(withoutTab(one));
    }
  }

  #follow(status: Status): void {
    this.#status = status;
    this.#tell(status);
  }

  #report(report: Of<"report">): void {
    if (report.topic === undefined || this.#topics.has(report.topic)) this.#tell(report);
  }

  #onFrame({ frame, tab: to }: Of<"frame">, tab: string): void {
    if (to === undefined || to === tab) this.#hear(frame);
  }

  #onJoined({ count, topics, status, session }: Of<"joined">): void {
    if (status !== undefined) this.#follow(status);
    for (const subscriber of this.#subscribers.values()) {
      if (subscriber.count <= count) subscriber.joined = true;
    }
    for (const [name, { state, error, cursor }] of Object.entries(topics)) {
      this.#stand(name, state, error, cursor);
    }
    if (status?.state === "live") this.#hear({ type: "welcome", session });
  }

  #onTopic({ topic, state, error, cursor }: Of<"topic">): void {
    this.#stand(topic, state, error ?? null, cursor);
  }

  /** A topic stands thus at the leader. */
  #stand(
    name: string,
    state: SubscriptionState,
    error: TopicError | null,
    cursor: string | null,
  ): void {
    const topic = this.#topics.get(name);
    if (topic === undefined) return;
    // What was live and will be again is not new: its users go on showing what they have.
    if (!(topic.state === "stale" && state === "subscribing")) {
      this.#setState(name, topic, state, error);
    }
    if (state === "live") this.#arrive(name, topic, cursor);
  }

  /** Live: who had no position has one from now on; who had one that is no more is told. */
  #arrive(name: string, topic: Topic, cursor: string | null): void {
    if (!isWildcard(name)) topic.cursor = later(topic.cursor, cursor);
    const lost: number[] = [];
    for (const id of topic.subscribers) {
      const place = this.#joined(id)?.places.get(name);
      if (place === undefined) continue;
      place.served = true;
      if (place.lost) lost.push(id);
      place.lost = false;
      if (!isWildcard(name)) place.cursor ??= cursor;
    }
    if (lost.length > 0) {
      const gap = { topic: name, reason: "no_history", cursor, ...onlyTo(topic, lost) };
      this.#tell({ effect: "gap", ...gap });
    }
  }

  #deliver({ topic: name, event, to: addressed }: Of<"deliver">, tab: string): void {
    const to = this.#those(name, addressed, tab);
    const topic = this.#topics.get(name);
    if (topic === undefined || to.length === 0) return;
    if (!isWildcard(name) && typeof event.cursor === "string") {
      this.#move(name, to, event.cursor);
      topic.cursor = later(topic.cursor, event.cursor);
    }
    this.#tell({ effect: "deliver", topic: name, event, ...onlyTo(topic, to) });
  }

  #gap({ topic: name, reason, cursor, to: addressed }: Of<"gap">, tab: string): void {
    const to = this.#those(name, addressed, tab);
    const topic = this.#topics.get(name);
    if (topic === undefined || to.length === 0) return;
    this.#move(name, to, cursor);
    topic.cursor = cursor;
    this.#tell({ effect: "gap", topic: name, reason, cursor, ...onlyTo(topic, to) });
  }

  /** The subscribers of this tab that are meant: those that are named, or all that the leader knows. */
  #those(name: string, addressed: Addressed | undefined, tab: string): number[] {
    const topic = this.#topics.get(name);
    if (topic === undefined) return [];
    if (addressed === undefined) return [...topic.subscribers].filter((id) => this.#joined(id));
    return (addressed[tab] ?? []).filter((id) => topic.subscribers.has(id));
  }

  #joined(id: number): Subscriber | null {
    const subscriber = this.#subscribers.get(id);
    return subscriber?.joined ? subscriber : null;
  }

  /** Positions move before the handlers run: one that throws is not given the same again. */
  #move(name: string, to: readonly number[], cursor: string | null): void {
    for (const id of to) {
      const place = this.#subscribers.get(id)?.places.get(name);
      if (place !== undefined) Object.assign(place, { cursor, served: true, lost: false });
    }
  }

  #setState(name: string, topic: Topic, state: SubscriptionState, error: TopicError | null): void {
    if (topic.state === state && topic.error?.code === error?.code) return;
    topic.state = state;
    topic.error = error;
    const told = state === "denied" && error !== null ? { error } : {};
    this.#tell({ effect: "topic", topic: name, state, ...told });
  }

  #recall(name: string, now: number): string | null {
    return this.#topics.get(name)?.subscribers.size === 1 ? this.#kept.get(name, now) : null;
  }
}

function create(): Topic {
  return { state: "subscribing", error: null, cursor: null, subscribers: new Set() };
}

function leaseOf(id: number, { places }: Subscriber): Lease {
  const since: [string, string][] = [];
  for (const [name, { cursor }] of places) if (cursor !== null) since.push([name, cursor]);
  return { subscriber: id, topics: [...places.keys()], since: Object.fromEntries(since) };
}

function isWildcard(name: string): boolean {
  return name.endsWith(":*");
}

/** What is replayed for one subscriber does not take the whole topic back. */
function later(old: string | null, cursor: string | null): string | null {
  if (old === null || cursor === null) return cursor;
  return compareCursors(cursor, old) === -1 ? old : cursor;
}

function onlyTo(topic: Topic, to: readonly number[]): { to?: readonly number[] } {
  return to.length === topic.subscribers.size ? {} : { to };
}

function withoutTab({ tab: _, ...settled }: Of<"settle">): Told {
  return settled as Told;
}
