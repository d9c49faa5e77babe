/** The server's frames, by type. Nothing in them is trusted; what is not understood is ignored. */

import type { TidingsEvent } from "../event.js";
import { goLive, reopen } from "./connection.js";
import { arm, type Context, cancel, report } from "./context.js";
import { onAnswer, onBroken, onEvent } from "./delivery.js";
import { onHeard } from "./ladder.js";
import { onPublishError, onPublished } from "./publishes.js";
import { readWelcome, renew, renewLater } from "./renewal.js";
import { onRemoved, REFRESH, refuse, setState } from "./subscriptions.js";
import { isObject, numberOf, type RawFrame, type TopicError } from "./values.js";

/** A frame before `welcome`: only that, and the error that explains the coming close. */
export function onEarlyFrame(m: Context, frame: RawFrame | null): void {
  if (frame?.type === "welcome") goLive(m, frame);
  else if (frame?.type === "error") {
    m.retryAfterMs = numberOf(frame.retry_after_ms);
  }
}

/** A frame of a living connection. Whatever it is, it is a sign of life. */
export function onFrame(m: Context, frame: RawFrame | null): void {
  cancel(m, "probe");
  arm(m, "watchdog", m.watchdogMs);
  onHeard(m);
  if (frame === null) return;
  const type = frame.type;
  if (type === undefined) {
    if (isEvent(frame)) onEvent(m, frame as unknown as TidingsEvent);
  } else if (typeof type === "string" && Object.hasOwn(BY_TYPE, type)) BY_TYPE[type]?.(m, frame);
}

const BY_TYPE: Readonly<Record<string, (m: Context, frame: RawFrame) => void>> = {
  welcome: onRenewed,
  subscribed: onSubscribed,
  unsubscribed: onUnsubscribed,
  error: onError,
  published: onPublished,
  reconnect: onReconnectFrame,
};

function isEvent(frame: RawFrame): boolean {
  return typeof frame.topic === "string" && typeof frame.event === "string" && isObject(frame.data);
}

/** Another welcome: the credentials have been renewed. */
function onRenewed(m: Context, frame: RawFrame): void {
  m.authRequest = null;
  readWelcome(m, frame);
}

/** With an id, the answer to a subscribe; without, live topics that broke. */
function onSubscribed(m: Context, frame: RawFrame): void {
  if (!isObject(frame.topics)) return;
  const id = idOf(frame);
  for (const [name, answer] of Object.entries(frame.topics)) {
    const topic = m.topics.get(name);
    if (topic === undefined || !isObject(answer)) continue;
    if (id === undefined) {
      if (topic.place === "held") onBroken(m, topic, answer);
    } else if (topic.place === "asked" && topic.request === id) {
      topic.error = null;
      setState(m, topic, "live");
      onAnswer(m, topic, answer);
    }
  }
}

/** Without an id the server took topics away; with one it answers us, who have forgotten them already. */
function onUnsubscribed(m: Context, frame: RawFrame): void {
  const { topics, reason } = frame;
  if (idOf(frame) !== undefined || !Array.isArray(topics)) return;
  onRemoved(m, topics, typeof reason === "string" ? reason : "disconnected");
}

/**
 * An error answers a publish, an auth, or a subscribe; or it tells why the connection will be closed.
 *
 * New credentials are asked for where the code is one of REFRESH and the error answers a publish or a subscribe
 * of ours, or nothing and no topic. An answer to a renewal starts none, and neither does one to a frame that is
 * not ours.
 */
function onError(m: Context, frame: RawFrame): void {
  const error: TopicError = {
    code: typeof frame.code === "string" ? frame.code : "internal",
  };
  if (typeof frame.message === "string") error.message = frame.message;
  const id = idOf(frame);
  if (error.code === "unknown_session") reopen(m);
  else if (id !== undefined && id === m.authRequest) renewLater(m);
  else if (onPublishError(m, id, error) || onTopicError(m, frame, error)) {
    if (REFRESH.has(error.code)) renew(m);
  } else {
    m.retryAfterMs = numberOf(frame.retry_after_ms);
    if (id === undefined) onConnectionError(m, frame, error);
  }
}

/** The server has refused topics; says whether it was about one of ours. */
function onTopicError(m: Context, frame: RawFrame, error: TopicError): boolean {
  const id = idOf(frame);
  const name = frame.topic;
  const about = [...m.topics.values()].filter(
    (topic) =>
      topic.place === "asked" &&
      (id === undefined || topic.request === id) &&
      (name === topic.name || (name === "system" && id !== undefined)),
  );
  for (const topic of about) refuse(m, topic, error, numberOf(frame.retry_after_ms));
  return about.length > 0;
}

/** Nothing of ours is answered: it is about the connection, or about a topic that we hold. */
function onConnectionError(m: Context, { topic }: RawFrame, error: TopicError): void {
  const isOurs = topic === "system" || typeof topic !== "string";
  if (isOurs && REFRESH.has(error.code)) renew(m);
  else {
    report(m, "error", error.code, error.message === undefined ? {} : { message: error.message });
  }
}

/** The server goes away soon: move within its window, each client at its own moment. */
function onReconnectFrame(m: Context, frame: RawFrame): void {
  m.windowMs = numberOf(frame.delay_ms) ?? m.options.backoff_base_ms;
  arm(m, "move", Math.floor(m.random * m.windowMs));
}

/** The id that a frame answers; null counts as absent, as everywhere on the wire. */
function idOf(frame: RawFrame): unknown {
  return frame.id ?? undefined;
}
