/**
 * The life of the connection: dial, live, lose, wait, give up.
 *
 * One dial at a time, each with a generation number: what an older generation says is not heard. A socket
 * that is given up is dropped at once, for `close` on a dead link may never be answered.
 */

import { arm, type Context, cancel, enter, report, send } from "./context.js";
import { afterBreak, afterMiss, dialMs, onWelcomed, stopClimbing } from "./ladder.js";
import {
  dropPublishes,
  losePublishes,
  refuseLargest,
  repeatPublishes,
  sendQueued,
} from "./publishes.js";
import { readWelcome } from "./renewal.js";
import { askAll, askFirst, loseTopics } from "./subscriptions.js";
import type { RawFrame, Reason } from "./values.js";

const ENDED: Readonly<Record<number, Reason>> = {
  1000: "ended",
  1008: "refused",
  4403: "forbidden",
};
const PAUSING: Readonly<Record<number, Reason>> = {
  1012: "restart",
  4429: "slow_down",
  4503: "slow_down",
};
/** Codes of the server itself, beside 1012; below are those of the protocol, and of what stands in between. */
const OWN_CODES = 4400;
const TOO_LARGE = 1009;
const NORMAL = 1000;
const TIMEOUT = 4408;

/** Whether anything on this page needs the connection. */
export function wanted(m: Context): boolean {
  return m.subscribers.size > 0 || m.publishes.length > 0;
}

/** Begin a dial: credentials first, then the socket. A page that is not yet shown waits. */
export function dial(m: Context, force = false): void {
  cancel(m, "backoff", "wake");
  if (m.prerendering) {
    enter(m, "paused", "prerendering");
    return;
  }
  m.dials += 1;
  m.generation = m.dials;
  m.dialledAt = m.now;
  m.dialledHidden = m.hidden;
  m.token = null;
  enter(m, "connecting", m.reason, m.code);
  arm(m, "connect", dialMs(m));
  if (m.hidden) watchHidden(m);
  m.authorizing = m.options.auth;
  if (m.options.auth) m.effects.push({ effect: "auth", generation: m.generation, force });
  else openSocket(m, null);
}

/** The second step of a dial. */
export function openSocket(m: Context, token: string | null): void {
  m.authorizing = false;
  m.token = token;
  const { generation, transport } = m;
  // On SSE and poll the first question travels with the dial.
  const subscribe = transport === "websocket" ? null : askFirst(m);
  m.effects.push({
    effect: "dial",
    generation,
    transport,
    token,
    ...(subscribe === null ? {} : { subscribe }),
  });
}

/** `welcome` means connected; the socket's own `open` does not. */
export function goLive(m: Context, welcome: RawFrame): void {
  enter(m, "live");
  cancel(m, "connect");
  m.windowMs = null;
  m.retryAfterMs = null;
  m.notBefore = 0;
  m.token = null;
  arm(m, "stable", m.options.stable_ms);
  onWelcomed(m);
  readWelcome(m, welcome);
  askAll(m);
  sendQueued(m);
}

/** Doubt the link: ask, and demand any frame in answer. */
export function probe(m: Context): void {
  if (m.timers.has("probe")) return;
  send(m, { type: "ping" });
  arm(m, "probe", m.options.probe_ms);
}

/** The server closed, or the link broke. The close code decides what follows. */
export function onLost(m: Context, code: number | null): void {
  if (code !== null && code in ENDED) {
    leave(m);
    block(m, ENDED[code] ?? "lost", code);
  } else if (code === 4401) {
    leave(m);
    if (m.renewed || !m.options.auth) block(m, "unauthorized", code);
    else {
      m.renewed = true;
      m.reason = "unauthorized";
      m.code = code;
      dial(m, true);
    }
  } else {
    if (code === TOO_LARGE) refuseLargest(m);
    const down = broke(m, code) && afterBreak(m);
    leave(m);
    const reason = code === null ? undefined : PAUSING[code];
    if (down) dialNext(m, "lost", code);
    // A server that asks for patience has been reached: that is no reason for another transport.
    else if (reason === undefined && m.state === "connecting") onDialFailed(m, "lost", code);
    else retry(m, reason ?? "lost", code);
  }
}

/** Whether a live connection ended soon after its `welcome`, and the server had not planned it. */
function broke(m: Context, code: number | null): boolean {
  const planned = m.windowMs !== null || code === 1012 || (code !== null && code >= OWN_CODES);
  return m.state === "live" && !planned && m.now - m.welcomedAt < m.options.stable_ms;
}

/** A dial came to nothing: the next transport at once, or a pause. */
function onDialFailed(m: Context, reason: Reason, code: number | null): void {
  if (afterMiss(m, reason) === "pause") retry(m, reason, code);
  else dialNext(m, reason, code);
}

/** Dial at once what the ladder has come to. */
function dialNext(m: Context, reason: Reason, code: number | null): void {
  m.reason = reason;
  m.code = code;
  dial(m);
}

/**
 * A frame found another process than the one that has the stream. A new stream takes all topics along in its
 * opening: at once, unless that has just been done and did not help.
 */
export function reopen(m: Context): void {
  const soon = broke(m, null);
  const down = soon && afterBreak(m);
  repeatPublishes(m);
  drop(m, NORMAL);
  if (soon && !down && (m.breaks.get(m.transport) ?? 0) > 1) retry(m, "lost", null);
  else dialNext(m, "lost", null);
}

/** The application could not give credentials: nothing has been dialled. */
export function onAuthFailed(m: Context): void {
  leave(m);
  retry(m, "auth_failed", null);
}

/** Give the socket up without waiting for it, and try again after a pause. */
export function abandon(m: Context, reason: Reason): void {
  const slowAnswer = m.authorizing; // the application's, not the transport's
  drop(m, TIMEOUT);
  if (slowAnswer) retry(m, reason, null);
  else onDialFailed(m, reason, null);
}

/** The link is dead: dial anew at once; the pause comes if that fails too. */
export function replace(m: Context, reason: Reason): void {
  const down = !m.proven && afterBreak(m);
  drop(m, TIMEOUT);
  if (!down) {
    if (exhausted(m, reason, null)) return;
    m.attempt += 1;
    tell(m);
  }
  m.reason = reason;
  dial(m);
}

/** Dial anew because it was asked for or was announced: no failure. */
export function redial(m: Context, reason: Reason | null = null, force = false): void {
  drop(m, NORMAL);
  m.reason = reason;
  m.code = null;
  dial(m, force);
}

/** Wait, then dial: full jitter, taken after the cap, so that clients do not meet at the cap. */
export function retry(m: Context, reason: Reason, code: number | null): void {
  if (exhausted(m, reason, code)) return;
  m.attempt += 1;
  tell(m);
  enter(m, "reconnecting", reason, code);
  waitMs(m, backoffMs(m, reason));
}

function backoffMs(m: Context, reason: Reason): number {
  const { backoff_base_ms: base, backoff_cap_ms: cap, slow_down_ms: slow } = m.options;
  // While the page refetches at intervals, asking for more than that is no greater burden.
  const most =
    m.refetching && m.options.transports.length > 1
      ? Math.min(cap, m.options.refetching_cap_ms)
      : cap;
  const spread = m.random * Math.min(most, base * 2 ** (m.attempt - 1));
  let ms = spread;
  if (m.windowMs !== null) ms = m.random * m.windowMs;
  else if (reason === "slow_down") ms = Math.max(slow, m.retryAfterMs ?? 0) + spread;
  else if (m.retryAfterMs !== null) ms = m.retryAfterMs + spread;
  m.windowMs = null;
  m.retryAfterMs = null;
  return Math.floor(m.offline ? Math.max(ms, m.options.offline_ms) : ms);
}

function waitMs(m: Context, ms: number): void {
  m.nextTryAt = m.now + ms;
  m.notBefore = m.nextTryAt;
  arm(m, "backoff", ms);
}

/** The pause is over. A hidden page dials seldom; a page that nothing wants to be live, not at all. */
export function onBackoff(m: Context): void {
  const since = m.dialledAt === null ? Number.POSITIVE_INFINITY : m.now - m.dialledAt;
  if (!wanted(m)) enter(m, "idle");
  else if (m.hidden && since < m.options.hidden_dial_ms)
    waitMs(m, m.options.hidden_dial_ms - since);
  else dial(m);
}

/** The first use of an idle machine: dial, unless a pause after a failure still runs. */
export function start(m: Context): void {
  if (m.now >= m.notBefore) dial(m);
  else {
    enter(m, "reconnecting", "lost");
    waitMs(m, m.notBefore - m.now);
  }
}

/** Where the user set a limit and it is reached: no more tries until `reconnect()`. */
function exhausted(m: Context, reason: Reason, code: number | null): boolean {
  const limit = m.options.attempts_limit;
  if (limit === null || m.attempt < limit) return false;
  enter(m, "failed", reason, code);
  report(m, "error", "failed");
  dropPublishes(m, "not_connected");
  return true;
}

/** Stop for good, until the application does something about it. */
export function block(m: Context, reason: Reason, code: number | null): void {
  enter(m, "blocked", reason, code);
  report(m, "error", "blocked");
  dropPublishes(m, "not_connected");
}

/** Asked for by hand: it always works, and starts the counting anew. */
export function dialByHand(m: Context): void {
  const force = m.state === "blocked"; // the last credentials were refused
  m.attempt = 0;
  m.renewed = false;
  redial(m, null, force);
}

/** The connection has held for a while: its failures are history. */
export function onStable(m: Context): void {
  m.attempt = 0;
  m.renewed = false;
  m.told = false;
}

/** Where the application wants it, a page that stays hidden leaves. */
export function watchHidden(m: Context): void {
  if (m.options.pause_after_ms !== null) arm(m, "hidden", m.options.pause_after_ms);
}

/** Nobody has used the connection for a while. */
export function goIdle(m: Context): void {
  drop(m, NORMAL);
  cancel(m, "backoff", "wake");
  enter(m, "idle");
}

/** The end: nothing is heard afterwards. */
export function close(m: Context): void {
  drop(m, NORMAL);
  cancel(m, ...m.timers);
  dropPublishes(m, "closed");
  m.topics.clear();
  m.subscribers.clear();
  enter(m, "closed");
}

/** Detach the socket (or the dial under way) and forget what only it knew. */
export function drop(m: Context, code: number): void {
  if (m.state === "connecting" || m.state === "live") {
    m.effects.push({ effect: "drop", generation: m.generation, code });
    leave(m);
  }
}

/** What ends with every connection. */
function leave(m: Context): void {
  cancel(m, "connect", "watchdog", "probe", "stable", "reauth", "move", "retry", "climb");
  stopClimbing(m);
  m.authorizing = false;
  m.authRequest = null;
  m.token = null;
  loseTopics(m);
  losePublishes(m);
}

/** Say once per outage that the link is down: a console full of the same line helps nobody. */
function tell(m: Context): void {
  if (m.told) return;
  m.told = true;
  report(m, "warn", "disconnected");
}

/** The connection lingers after its last use; a page that moves on to the next keeps it. */
export function watchUse(m: Context): void {
  const running = m.state === "connecting" || m.state === "live" || m.state === "reconnecting";
  if (!running || wanted(m)) cancel(m, "idle");
  else if (!m.timers.has("idle")) arm(m, "idle", m.options.connection_linger_ms);
}
