/**
 * Which topics the page uses, and which the server holds for it.
 *
 * Leases are counted per topic, so components share one subscription. What joins in one moment goes out in
 * one frame. A topic without leases lingers for some seconds, for the next page may use it again.
 */

import { compareCursors } from "../cursor.js";
import type { SubscribeFrame } from "../frames.js";
import { arm, type Context, cancel, nextId, report, send, type Topic } from "./context.js";
import { serve } from "./delivery.js";
import type { Since, SubscriptionState, TopicError } from "./values.js";

/** Refusals that pass by themselves. */
const PASSING: ReadonlySet<string> = new Set(["rate_limited", "unavailable", "internal"]);
/** Refusals that new credentials mend. */
export const REFRESH: ReadonlySet<string> = new Set(["unauthorized", "token_expired"]);
/** Topics whose linger ends within this time of each other leave in one frame. */
const SWEEP_MS = 500;
const REMEMBERED_MAX = 1_000;
/** A stream's opening may name as many topics as a connection may hold by default: a new one needs no more. */
const OPENING_TOPICS_MAX = 256;

/** A subscriber starts to use topics; returns nothing, the topic's state comes as effects. */
export function lease(m: Context, id: number, names: readonly string[], since: Since = {}): void {
  if (m.subscribers.has(id)) release(m, id);
  const topics = [...new Set(names)];
  if (topics.length === 0) return;
  m.subscribers.set(id, topics);
  for (const name of topics) {
    const topic = m.topics.get(name) ?? create(m, name);
    const named = Object.hasOwn(since, name) ? since[name] : null;
    const asked = named ?? topic.delivered;
    topic.leases.set(id, { since: asked, floor: null, attached: false });
    topic.delivered = null;
    topic.leaveAt = null;
    if (topic.place === "away") startAt(topic, asked);
    if (topic.place === "refused") topic.place = "away"; // somebody new may ask again
  }
  if (m.state === "live") flushSoon(m);
}

function create(m: Context, name: string): Topic {
  const known = m.remembered.get(name);
  m.remembered.delete(name);
  const topic: Topic = {
    name,
    leases: new Map(),
    state: "subscribing",
    error: null,
    place: "away",
    request: null,
    askedSince: null,
    cursor: null,
    delivered: known !== undefined && known.until > m.now ? known.cursor : null,
    buffer: [],
    bufferFrom: null,
    leaveAt: null,
    retryAt: null,
  };
  m.topics.set(name, topic);
  return topic;
}

/**
 * The position to ask for is the oldest that a newcomer needs; who is ahead of it skips what it has. It never
 * moves back for those who have been served: a newcomer that is older gets a gap instead.
 */
function startAt(topic: Topic, since: string | null): void {
  if (since === null || [...topic.leases.values()].some((one) => one.attached)) return;
  if (topic.cursor === null || compareCursors(since, topic.cursor) === -1) topic.cursor = since;
}

/** A subscriber stops; unknown ones are none of our business, so letting go twice is harmless. */
export function release(m: Context, id: number): void {
  for (const name of m.subscribers.get(id) ?? []) {
    const topic = m.topics.get(name);
    const last = topic?.leases.get(id);
    if (topic === undefined || last === undefined) continue;
    topic.leases.delete(id);
    if (topic.leases.size > 0) continue;
    // One that leaves before it was served leaves what waited for it to the next.
    topic.delivered = last.attached ? topic.cursor : (last.since ?? topic.cursor);
    if (topic.place === "asked" || topic.place === "held") {
      topic.leaveAt = m.now + m.options.topic_linger_ms;
      if (!m.timers.has("linger")) arm(m, "linger", m.options.topic_linger_ms);
    } else forget(m, topic);
  }
  m.subscribers.delete(id);
}

/** The timer `linger`: leave the topics that nobody came back to, in as few frames as may be. */
export function sweep(m: Context): void {
  const gone: string[] = [];
  let next = Number.POSITIVE_INFINITY;
  for (const topic of m.topics.values()) {
    if (topic.leaveAt === null) continue;
    if (topic.leaveAt > m.now + SWEEP_MS) next = Math.min(next, topic.leaveAt);
    else {
      gone.push(topic.name);
      forget(m, topic);
    }
  }
  for (const topics of chunks(gone, m.topicsPerFrame)) {
    send(m, { type: "unsubscribe", topics, id: nextId(m) });
  }
  if (gone.length > 0) askForRoom(m);
  if (next !== Number.POSITIVE_INFINITY) arm(m, "linger", next - m.now);
}

/** Some have left: those that found the connection full may come in. */
function askForRoom(m: Context): void {
  for (const topic of m.topics.values()) {
    if (topic.error?.code === "too_many_subscriptions" && topic.place === "refused") {
      topic.place = "away";
    }
  }
  askAll(m);
}

/** Drop a topic, but remember its position for a while. */
function forget(m: Context, topic: Topic): void {
  m.topics.delete(topic.name);
  if (topic.delivered === null) return;
  m.remembered.delete(topic.name);
  m.remembered.set(topic.name, {
    cursor: topic.delivered,
    until: m.now + m.options.cursor_keep_ms,
  });
  for (const [name, known] of m.remembered) {
    if (known.until > m.now && m.remembered.size <= REMEMBERED_MAX) break;
    m.remembered.delete(name);
  }
}

/** Joins of one moment go out together, when the task has ended. */
function flushSoon(m: Context): void {
  if (m.flushing) return;
  m.flushing = true;
  m.effects.push({ effect: "flush" });
}

/** The input `flush`: serve who joined a topic that is held, and ask for the rest. */
export function flush(m: Context): void {
  m.flushing = false;
  if (m.state !== "live") return;
  for (const topic of m.topics.values()) {
    if (topic.place !== "held") continue;
    for (const [id, one] of topic.leases) if (!one.attached) serve(m, topic, id, one);
  }
  askAll(m);
}

/** Subscribe to every topic that is used and that the server does not hold. */
export function askAll(m: Context): void {
  for (const topics of chunks(unasked(m), m.topicsPerFrame)) send(m, ask(m, topics));
}

/** The same as one frame, which a dial takes along; what does not fit is asked for when it is connected. */
export function askFirst(m: Context): SubscribeFrame {
  return ask(m, unasked(m).slice(0, OPENING_TOPICS_MAX));
}

function unasked(m: Context): Topic[] {
  return [...m.topics.values()].filter(
    (topic) => topic.place === "away" && topic.leases.size > 0 && topic.retryAt === null,
  );
}

function ask(m: Context, topics: readonly Topic[]): SubscribeFrame {
  const id = nextId(m);
  const since: [string, string][] = [];
  for (const topic of topics) {
    topic.place = "asked";
    topic.request = id;
    topic.askedSince = topic.cursor;
    if (topic.cursor !== null) since.push([topic.name, topic.cursor]);
    if (topic.state === "denied") setState(m, topic, "subscribing");
  }
  return {
    type: "subscribe",
    topics: topics.map((topic) => topic.name),
    // `Object.fromEntries` defines, never assigns: a topic's name cannot touch a prototype.
    ...(since.length > 0 ? { since: Object.fromEntries(since) } : {}),
    id,
  };
}

/** The connection is exchanged for another: nothing is held on that yet, and its users notice nothing. */
export function moveTopics(m: Context): void {
  for (const topic of m.topics.values()) {
    topic.place = "away"; // a refusal may have been the transport's
    topic.request = null;
    topic.retryAt = null;
    if (topic.leases.size === 0) forget(m, topic);
  }
  cancel(m, "linger");
}

/** The connection went: nothing is held; what lingered is let go, with what it had delivered. */
export function loseTopics(m: Context): void {
  for (const topic of m.topics.values()) {
    topic.place = "away";
    topic.request = null;
    topic.retryAt = null;
    if (topic.leases.size === 0) forget(m, topic);
    else if (topic.state === "live") setState(m, topic, "stale");
  }
  cancel(m, "linger");
}

/** A topic was refused; ask again later where that may help, else tell its users. */
export function refuse(
  m: Context,
  topic: Topic,
  error: TopicError,
  retryAfterMs: number | null,
): void {
  topic.request = null;
  if (topic.leases.size === 0) {
    forget(m, topic);
  } else if (PASSING.has(error.code) || (m.options.auth && REFRESH.has(error.code))) {
    topic.place = "away";
    const wait =
      Math.max(retryAfterMs ?? 0, m.options.slow_down_ms) + m.random * m.options.backoff_base_ms;
    topic.retryAt = m.now + Math.floor(wait);
    if (!m.timers.has("retry")) arm(m, "retry", Math.floor(wait));
  } else {
    const again = topic.error?.code === error.code;
    topic.place = "refused";
    topic.error = error;
    setState(m, topic, "denied");
    if (!again) report(m, "error", error.code, { topic: topic.name, ...withMessage(error) });
  }
}

function withMessage(error: TopicError): { message?: string } {
  return error.message === undefined ? {} : { message: error.message };
}

/** The timer `retry`: ask again for the topics whose refusal may have passed. */
export function retryTopics(m: Context): void {
  let next = Number.POSITIVE_INFINITY;
  for (const topic of m.topics.values()) {
    if (topic.retryAt === null) continue;
    if (topic.retryAt <= m.now + SWEEP_MS) topic.retryAt = null;
    else next = Math.min(next, topic.retryAt);
  }
  askAll(m);
  if (next !== Number.POSITIVE_INFINITY) arm(m, "retry", next - m.now);
}

/** The server took topics away. */
export function onRemoved(m: Context, names: readonly unknown[], reason: string): void {
  for (const name of names) {
    const topic = typeof name === "string" ? m.topics.get(name) : undefined;
    if (topic !== undefined && topic.place !== "away") refuse(m, topic, { code: reason }, null);
  }
}

/** Change what a topic's users see, and tell them. */
export function setState(m: Context, topic: Topic, state: SubscriptionState): void {
  if (topic.state === state) return;
  topic.state = state;
  if (state !== "denied" && state !== "subscribing") topic.error = null;
  m.effects.push({
    effect: "topic",
    topic: topic.name,
    state,
    ...(state === "denied" && topic.error !== null ? { error: topic.error } : {}),
  });
}

function* chunks<T>(all: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < all.length; start += size) yield all.slice(start, start + size);
}
