/**
 * Which transport: down the ladder when one does not work, and up again as soon as it does.
 *
 * A dial that does not reach `welcome` is a step down, at once, and so is a connection that breaks soon after
 * it for the third time in a row. After the last step the page has no transport left: it refetches, and they are
 * tried in turn, from the top on, one after each pause. Below the top, the better transports are tried beside the
 * living one, which stays until another has been welcomed; the positions carry over.
 */

import { arm, type Context, cancel } from "./context.js";
import type { MachineOptions, Reason, TransportName } from "./values.js";

const NORMAL = 1000;
/** How much seldomer a slow network, or one that is paid by the byte, is asked whether it has become better. */
const SLOW_FACTOR = 6;
/** So many connections in a row that break within `stable_ms` of their `welcome`: something in between cuts them. */
const BREAKS_MAX = 3;

/** The first choice of a visit: what worked in this session, else by the network's hint, else the best. */
export function firstTransport(options: MachineOptions): TransportName {
  const { transports, remembered, slow } = options;
  if (remembered !== null && transports.includes(remembered)) return remembered;
  // It needs fewer round trips before the first event.
  if (slow && transports.includes("sse")) return "sse";
  return transports[0] ?? "websocket";
}

function top(m: Context): TransportName {
  return m.options.transports[0] ?? "websocket";
}

function below(m: Context, transport: TransportName): TransportName | null {
  const { transports } = m.options;
  return transports[transports.indexOf(transport) + 1] ?? null;
}

/** How long a dial may take: not long where another transport may do better, and this one is unproven. */
export function dialMs(m: Context): number {
  const { connect_ms: long, first_ms: short } = m.options;
  const hasNext = below(m, m.transport) !== null;
  return hasNext && !m.slow && !m.worked.has(m.transport) ? Math.min(short, long) : long;
}

/** A dial came to nothing: whether the next one follows at once, on the next transport, or after a pause. */
export function afterMiss(m: Context, reason: Reason): "next" | "pause" {
  m.misses += 1;
  // One that has worked in this visit gets a second try: a restart is not a blockade. But a restart refuses at once.
  const restarts = m.worked.has(m.transport) && reason !== "timeout";
  if (restarts && m.misses === 1 && !m.refetching) return "pause";
  m.misses = 0;
  const next = below(m, m.transport);
  // Where none is left, most likely the server is away: it is asked once a pause, in turn.
  const pauses = m.refetching || next === null;
  if (next === null) m.refetching = true;
  m.transport = next ?? top(m);
  return pauses ? "pause" : "next";
}

/** It has been welcomed. Remember it for the session, and look upward from it. */
export function onWelcomed(m: Context): void {
  m.welcomedAt = m.now;
  m.proven = false;
  m.misses = 0;
  const wasLost = m.refetching;
  m.refetching = false;
  // One that keeps breaking has to hold first.
  if (breaksOf(m) < BREAKS_MAX) trust(m);
  // After a time without any, the best has not been tried just now.
  if (m.transport !== top(m)) {
    arm(m, "climb", wasLost ? m.options.backoff_base_ms : climbWaitMs(m));
  }
}

/** It works: it is remembered for the session. */
function trust(m: Context): void {
  const best = m.transport === top(m);
  m.worked.add(m.transport);
  // Where the best has worked in this visit, what took its place is a passing trouble.
  if ((best || !m.worked.has(top(m))) && m.transport !== (m.memory ?? top(m))) {
    m.memory = m.transport;
    m.effects.push({ effect: "remember", transport: m.transport });
  }
  if (best) m.climbMs = m.options.climb_ms;
}

/** Something came over the connection: it holds, when that is long enough after its `welcome`. */
export function onHeard(m: Context): void {
  if (m.proven || m.now - m.welcomedAt < m.options.stable_ms) return;
  m.proven = true;
  if (m.breaks.delete(m.transport)) trust(m);
}

function breaksOf(m: Context): number {
  return m.breaks.get(m.transport) ?? 0;
}

/** The connection broke soon after its `welcome`, by no plan of the server's: whether to go on one step below. */
export function afterBreak(m: Context): boolean {
  const breaks = breaksOf(m) + 1;
  m.breaks.set(m.transport, breaks);
  const next = below(m, m.transport);
  if (breaks < BREAKS_MAX || next === null) return false;
  m.worked.delete(m.transport);
  // It had another chance, beside the one below.
  if (breaks > BREAKS_MAX) m.climbMs = Math.min(m.options.climb_cap_ms, m.climbMs * 2);
  m.transport = next;
  return true;
}

function climbWaitMs(m: Context): number {
  return Math.min(m.options.climb_cap_ms, m.climbMs * (m.slow ? SLOW_FACTOR : 1));
}

/** Try the best transport beside the living one. A hidden page does not. */
export function climb(m: Context): void {
  if (m.hidden) arm(m, "climb", climbWaitMs(m));
  else if (m.climbing === null && m.transport !== top(m)) climbTo(m, top(m));
}

/** The network has changed: what did not work may work now. */
export function climbNow(m: Context): void {
  if (m.transport === top(m) || m.climbing !== null) return;
  m.climbMs = m.options.climb_ms;
  climb(m);
}

function climbTo(m: Context, transport: TransportName): void {
  cancel(m, "climb");
  m.dials += 1;
  const generation = m.dials;
  m.climbing = { generation, transport, token: null };
  arm(m, "connect", m.options.connect_ms);
  if (m.options.auth) m.effects.push({ effect: "auth", generation, force: false });
  else m.effects.push({ effect: "dial", generation, transport, token: null });
}

/** The dial beside took too long. */
export function onClimbTimeout(m: Context): void {
  const { climbing } = m;
  if (climbing === null) return;
  stopClimbing(m);
  onClimbMissed(m, climbing.transport);
}

/** It did not work: another one that is better than ours, or again after twice the time. */
export function onClimbMissed(m: Context, transport: TransportName): void {
  cancel(m, "connect");
  const next = below(m, transport);
  if (next !== null && next !== m.transport) climbTo(m, next);
  else {
    m.climbMs = Math.min(m.options.climb_cap_ms, m.climbMs * 2);
    arm(m, "climb", climbWaitMs(m));
  }
}

/** Give the dial beside up, if there is one. */
export function stopClimbing(m: Context): void {
  if (m.climbing === null) return;
  m.effects.push({ effect: "drop", generation: m.climbing.generation, code: NORMAL });
  m.climbing = null;
}
