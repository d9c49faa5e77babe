/** What a welcome says, and credentials that are renewed while the connection lives. */

import { arm, type Context, cancel, nextId, send } from "./context.js";
import { isObject, numberOf, type RawFrame } from "./values.js";

/** What a welcome says: at the start of a connection, and after each renewal of its credentials. */
export function readWelcome(m: Context, welcome: RawFrame): void {
  const limits = isObject(welcome.limits) ? welcome.limits : {};
  m.topicsPerFrame = numberOf(limits.topics_per_frame) || 100; // 0 is no bound
  m.frameBytes = numberOf(limits.frame_bytes) || null;
  m.watchdogMs = (numberOf(welcome.heartbeat_seconds) ?? 25) * 1000 + m.options.watchdog_slack_ms;
  arm(m, "watchdog", m.watchdogMs);
  const expires = numberOf(welcome.expires_in_seconds);
  cancel(m, "reauth");
  if (expires !== null && m.options.auth) arm(m, "reauth", renewAfter(m, expires * 1000));
}

/** A minute before the end, spread over the clients; half-way where the life is shorter than two minutes. */
function renewAfter(m: Context, lifeMs: number): number {
  const { reauth_before_ms: before, reauth_jitter_ms: jitter } = m.options;
  if (lifeMs <= before * 2) return Math.max(lifeMs / 2, m.options.slow_down_ms / 2);
  return lifeMs - before + (m.random * 2 - 1) * jitter;
}

/** Ask the application for new credentials while the connection stays. */
export function renew(m: Context): void {
  if (!m.options.auth || m.authorizing || m.authRequest !== null) return;
  m.authorizing = true;
  m.effects.push({ effect: "auth", generation: m.generation, force: true });
}

/** Hand new credentials in, over the living connection; its answer is another welcome. */
export function sendRenewal(m: Context, token: string | null): void {
  m.authorizing = false;
  if (token === null) return;
  m.authRequest = nextId(m);
  send(m, { type: "auth", token, id: m.authRequest });
}

/** Renewing in place failed; try again soon, the server's own deadline stands behind. */
export function renewLater(m: Context): void {
  m.authorizing = false;
  m.authRequest = null;
  arm(m, "reauth", m.options.stable_ms);
}
