/** Publishes of the page: each is answered once, and none waits in silence. */

import type { PublishFrame } from "../frames.js";
import { arm, type Context, cancel, nextId, type Publish, send } from "./context.js";
import type { PublishRequest, RawFrame, TopicError } from "./values.js";

const TOO_LARGE = "payload_too_large";

/** Take a publish in: send it, keep it for `queue_ms`, or refuse it at once. */
export function publish(m: Context, asked: PublishRequest): void {
  const { request, queue_ms: queueMs = 0 } = asked;
  const { topic, event, data, trace_id, version, idempotency_key } = asked;
  const frame: PublishFrame = {
    type: "publish",
    topic,
    event,
    data,
    ...(trace_id === undefined ? {} : { trace_id }),
    ...(version === undefined ? {} : { version }),
    ...(idempotency_key === undefined ? {} : { idempotency_key }),
  };
  const waits =
    queueMs > 0 && m.state !== "blocked" && m.state !== "failed" && m.state !== "closed";
  if (m.state !== "live" && !waits) {
    settle(m, request, { code: m.state === "closed" ? "closed" : "not_connected" });
    return;
  }
  const until = m.now + queueMs;
  m.publishes.push({
    request,
    frame,
    queued: queueMs > 0,
    id: null,
    bytes: 0,
    again: false,
    until,
  });
  if (m.state === "live") sendQueued(m);
  else watchDeadlines(m);
}

/**
 * Send what waited, in order; each under a new id, with the idempotency key that it came with. What is larger than
 * the server takes is refused here: it would cost the connection, and would again after each reconnect.
 */
export function sendQueued(m: Context): void {
  for (const item of m.publishes.splice(0)) {
    if (item.id !== null) {
      m.publishes.push(item);
      continue;
    }
    const id = nextId(m);
    const frame = { ...item.frame, id };
    item.bytes = new TextEncoder().encode(JSON.stringify(frame)).length;
    if (m.frameBytes !== null && item.bytes > m.frameBytes) {
      settle(m, item.request, { code: TOO_LARGE });
      continue;
    }
    item.id = id;
    if (!item.again) item.until = m.now + m.options.publish_ms;
    m.publishes.push(item);
    send(m, frame);
  }
  watchDeadlines(m);
}

/** The server closed because a frame was too large: the largest that has no answer is not sent again. */
export function refuseLargest(m: Context): void {
  const sent = m.publishes.filter(({ id }) => id !== null);
  const largest = sent.sort((a, b) => b.bytes - a.bytes)[0];
  if (largest === undefined) return;
  m.publishes.splice(m.publishes.indexOf(largest), 1);
  settle(m, largest.request, { code: TOO_LARGE });
}

/** The frames did not reach the stream's session: what may be repeated goes out again, within its time. */
export function repeatPublishes(m: Context): void {
  for (const item of m.publishes) {
    if (item.id === null || !isRepeatable(item)) continue;
    item.id = null;
    item.again = true;
  }
}

/** The server has taken one in. */
export function onPublished(m: Context, frame: RawFrame): void {
  const item = take(m, frame.id);
  const cursor = frame.cursor;
  if (item) {
    m.effects.push({
      effect: "settle",
      request: item.request,
      cursor: typeof cursor === "string" ? cursor : "",
    });
  }
}

/** The server has refused one; says whether the id was a publish's. */
export function onPublishError(m: Context, id: unknown, error: TopicError): boolean {
  const item = take(m, id);
  if (item) settle(m, item.request, error);
  return item !== null;
}

/** The connection went: what may wait, waits and is sent again; of the rest it is unknown whether it arrived. */
export function losePublishes(m: Context): void {
  const kept = m.publishes.splice(0);
  for (const item of kept) {
    if (item.id === null || item.queued) {
      item.id = null;
      m.publishes.push(item);
    } else settle(m, item.request, { code: "connection_lost" });
  }
  watchDeadlines(m);
}

/** The connection is exchanged for another: what has no answer is sent again, where a repeat is known as one. */
export function resendPublishes(m: Context): void {
  for (const item of m.publishes.splice(0)) {
    if (item.id === null || isRepeatable(item)) {
      item.id = null;
      m.publishes.push(item);
    } else settle(m, item.request, { code: "connection_lost" });
  }
}

function isRepeatable({ queued, frame }: Publish): boolean {
  return queued || frame.idempotency_key !== undefined;
}

/** Answer all with a refusal: there will be no connection. */
export function dropPublishes(m: Context, code: string): void {
  for (const item of m.publishes.splice(0)) settle(m, item.request, { code });
  watchDeadlines(m);
}

/** The timer `publish`: answer those whose time is over. */
export function onPublishDeadline(m: Context): void {
  const all = m.publishes.splice(0);
  for (const item of all) {
    if (item.until > m.now) m.publishes.push(item);
    else settle(m, item.request, { code: item.id === null ? "not_connected" : "timeout" });
  }
  watchDeadlines(m);
}

function take(m: Context, id: unknown): { request: number } | null {
  const index = typeof id === "number" ? m.publishes.findIndex((item) => item.id === id) : -1;
  const item = index < 0 ? undefined : m.publishes.splice(index, 1)[0];
  if (item === undefined) return null;
  watchDeadlines(m);
  return item;
}

function watchDeadlines(m: Context): void {
  if (m.publishes.length === 0) cancel(m, "publish");
  else arm(m, "publish", Math.min(...m.publishes.map((item) => item.until)) - m.now);
}

function settle(m: Context, request: number, error: TopicError): void {
  m.effects.push({ effect: "settle", request, error });
}
