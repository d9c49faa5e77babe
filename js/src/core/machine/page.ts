/** What the page goes through: holding still without a connection, and coming back. */

import { drop, redial, wanted } from "./connection.js";
import { type Context, cancel, enter } from "./context.js";
import type { Reason } from "./values.js";

const AWAY = 1001;

/** Hold still without a connection, positions kept. */
export function pause(m: Context, reason: Reason): void {
  drop(m, AWAY);
  cancel(m, "backoff", "wake");
  enter(m, "paused", reason);
}

/** A page that was shown after a dial in the dark: such a dial may hang for long, so begin it anew. */
export function redialIfBlind(m: Context): void {
  if (m.dialledHidden && !m.hidden) redial(m, m.reason);
}

/** The reason to hold still is over, unless the application asked for it. */
export function unpause(m: Context): void {
  if (m.prerendering) return;
  if (wanted(m)) redial(m);
  else enter(m, "idle");
}

/** The same for what the browser tells; a page that is still hidden goes on waiting. */
export function wakeFromPause(m: Context): void {
  if (m.reason !== "paused" && !m.hidden) unpause(m);
}
