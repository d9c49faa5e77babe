/**
 * Events on their way to the page, each once and in order; and what is said where that cannot be kept.
 *
 * A topic's position is one value. It moves before the handlers run, and never back within an epoch: what is
 * not above it is dropped, and another epoch means that the page must refetch.
 */

import { compareCursors } from "../cursor.js";
import type { TidingsEvent } from "../event.js";
import type { Context, Lease, Topic } from "./context.js";
import { report } from "./context.js";
import type { RawFrame } from "./values.js";

const SEEN_MAX = 256;

/** An event frame, from the topic's own subscription or from a wildcard's. */
export function onEvent(m: Context, event: TidingsEvent): void {
  const topic = m.topics.get(event.topic);
  if (topic?.place === "held") deliver(m, topic, event);
  const wildcard = m.topics.get(`${event.topic.slice(0, event.topic.indexOf(":"))}:*`);
  if (wildcard?.place === "held" && isNewToWildcard(m, event)) {
    if (wildcard.leases.size > 0) {
      m.effects.push({ effect: "deliver", topic: wildcard.name, event });
    }
  }
}

function deliver(m: Context, topic: Topic, event: TidingsEvent): void {
  const { cursor } = event;
  const early = [...topic.leases].filter(([, one]) => !one.attached);
  for (const [id, one] of early) serve(m, topic, id, one);
  if (typeof cursor === "string" && topic.cursor !== null) {
    const order = compareCursors(cursor, topic.cursor);
    if (order !== null && order <= 0) return;
    if (order === null) {
      startAnew(topic, cursor);
      for (const one of topic.leases.values()) attach(one);
      gap(m, topic, "epoch_changed", [...topic.leases.keys()]);
    }
  }
  if (typeof cursor === "string") {
    topic.cursor = cursor;
    topic.bufferFrom ??= cursor;
    keep(m, topic, { cursor, at: m.now, event });
  }
  if (topic.leases.size === 0) return;
  const to = [...topic.leases].filter(([, one]) => isNewTo(one, cursor)).map(([id]) => id);
  if (to.length > 0) {
    // A handler that is served first may let in others, who have their own way to this event.
    const named = early.length > 0 ? { to } : onlyTo(topic, to);
    m.effects.push({ effect: "deliver", topic: topic.name, event, ...named });
  }
}

/** Whether this lease's own data does not hold the event yet. */
function isNewTo(one: Lease, cursor: string | undefined): boolean {
  if (one.floor === null || cursor === undefined) return true;
  if ((compareCursors(cursor, one.floor) ?? 1) <= 0) return false;
  one.floor = null;
  return true;
}

/** Keep the newest events: so many, and so long. */
function keep(m: Context, topic: Topic, event: Topic["buffer"][number]): void {
  topic.buffer.push(event);
  let excess = 0;
  for (const old of topic.buffer) {
    const spare = topic.buffer.length - excess > m.options.buffer_events;
    if (!spare && m.now - old.at <= m.options.buffer_ms) break;
    topic.bufferFrom = old.cursor;
    excess += 1;
  }
  if (excess > 0) topic.buffer.splice(0, excess);
}

/** Wildcards have no position of their own: this remembers the newest topics' ones. */
function isNewToWildcard(m: Context, event: TidingsEvent): boolean {
  if (typeof event.cursor !== "string") return true;
  const last = m.seen.get(event.topic);
  if (last !== undefined && (compareCursors(event.cursor, last) ?? 1) <= 0) return false;
  m.seen.delete(event.topic);
  m.seen.set(event.topic, event.cursor);
  for (const oldest of m.seen.keys()) {
    if (m.seen.size <= SEEN_MAX) break;
    m.seen.delete(oldest);
  }
  return true;
}

/** The answer to a subscribe, for one topic: it is held now. */
export function onAnswer(m: Context, topic: Topic, answer: RawFrame): void {
  const asked = topic.askedSince;
  const recovered = answer.recovered === true;
  topic.place = "held";
  topic.request = null;
  warn(m, topic, answer.warning);
  startAnew(topic, cursorOf(answer));
  if (topic.leases.size === 0) topic.delivered ??= topic.cursor;
  const kept = recovered && (asked === null || asked === topic.cursor);
  const reason = recovered ? "unavailable" : reasonOf(answer);
  const lost: number[] = [];
  for (const [id, one] of topic.leases) {
    if (kept || !hasLost(one, topic, asked, reason)) serve(m, topic, id, one);
    else {
      attach(one);
      lost.push(id);
    }
  }
  gap(m, topic, reason, lost);
}

/** Who had a position and may have missed something; who only begins has missed nothing. */
function hasLost(one: Lease, topic: Topic, asked: string | null, reason: string): boolean {
  if (one.attached || one.since === null) return one.attached;
  if (one.since === asked || topic.cursor === null) return true;
  const order = compareCursors(one.since, topic.cursor);
  return order === null || order === -1 || (order === 1 && reason === "ahead");
}

function cursorOf(answer: RawFrame): string | null {
  return typeof answer.cursor === "string" ? answer.cursor : null;
}

function reasonOf(answer: RawFrame): string {
  return typeof answer.reason === "string" ? answer.reason : "unavailable";
}

/** A live topic broke: its history begins anew at this position. */
export function onBroken(m: Context, topic: Topic, answer: RawFrame): void {
  if (answer.recovered !== false) return;
  startAnew(topic, cursorOf(answer));
  for (const one of topic.leases.values()) attach(one);
  gap(m, topic, reasonOf(answer), [...topic.leases.keys()]);
}

function startAnew(topic: Topic, cursor: string | null): void {
  topic.cursor = cursor;
  topic.buffer = [];
  topic.bufferFrom = cursor;
}

function attach(one: Lease): void {
  one.attached = true;
  one.since = null;
  one.floor = null;
}

/** A lease meets a topic that is held: nothing to do, to skip, to catch up from the buffer, or a gap. */
export function serve(m: Context, topic: Topic, id: number, one: Lease): void {
  if (one.attached) return; // served before: what its own data hold it still must not be given
  const since = one.since;
  attach(one);
  if (since === null || topic.cursor === null) return;
  const order = compareCursors(since, topic.cursor);
  if (order === null) gap(m, topic, "epoch_changed", [id]);
  else if (order === 1) one.floor = since;
  else if (order === -1) {
    if (topic.bufferFrom === null || compareCursors(since, topic.bufferFrom) === -1) {
      gap(m, topic, "trimmed", [id]);
      return;
    }
    for (const { cursor, event } of topic.buffer) {
      if (compareCursors(cursor, since) === 1) {
        m.effects.push({ effect: "deliver", topic: topic.name, event, to: [id] });
      }
    }
  }
}

/** Tell that events may have been missed: the data must be fetched anew. */
export function gap(m: Context, topic: Topic, reason: string, to: readonly number[]): void {
  if (to.length === 0) return;
  m.effects.push({
    effect: "gap",
    topic: topic.name,
    reason,
    cursor: topic.cursor,
    ...onlyTo(topic, to),
  });
}

/** `to` stands in an effect only where it is not everybody. */
function onlyTo(topic: Topic, to: readonly number[]): { to?: readonly number[] } {
  return to.length === topic.leases.size ? {} : { to };
}

/** What the server warns of is said once per topic type, and to developers only. */
function warn(m: Context, topic: Topic, warning: unknown): void {
  const type = topic.name.slice(0, topic.name.indexOf(":"));
  if (typeof warning !== "string" || !m.options.development || m.warned.has(type)) return;
  m.warned.add(type);
  report(m, "warn", "topic_warning", { topic: topic.name, message: warning });
}
