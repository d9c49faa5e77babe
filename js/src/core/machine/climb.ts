/** The dial that runs beside a living connection, and the step up when it is welcomed. */

import { goLive } from "./connection.js";
import { type Context, cancel } from "./context.js";
import { onClimbMissed } from "./ladder.js";
import { resendPublishes } from "./publishes.js";
import { moveTopics } from "./subscriptions.js";
import type { Input, RawFrame } from "./values.js";

const NORMAL = 1000;

/** An input of the dial that runs beside the living connection. */
export function onClimbing(m: Context, input: Input): void {
  const { climbing } = m;
  if (climbing === null) return;
  const { generation, transport } = climbing;
  if (input.input === "token") {
    climbing.token = input.token;
    m.effects.push({ effect: "dial", generation, transport, token: input.token });
  } else if (input.input === "open") {
    const { token } = climbing;
    if (token !== null) {
      m.effects.push({ effect: "send", frame: { type: "auth", token }, generation });
    }
  } else if (input.input === "frame") {
    if (input.frame?.type === "welcome") moveUp(m, climbing, input.frame);
  } else {
    m.climbing = null;
    onClimbMissed(m, transport);
  }
}

/**
 * From here on only the new connection is heard. What the old one had not delivered yet comes again, for the
 * topics are asked for at their positions.
 */
function moveUp(m: Context, to: NonNullable<Context["climbing"]>, welcome: RawFrame): void {
  m.effects.push({ effect: "drop", generation: m.generation, code: NORMAL });
  cancel(m, "watchdog", "probe", "stable", "reauth", "move", "retry");
  m.generation = to.generation;
  m.transport = to.transport;
  m.climbing = null;
  m.authorizing = false;
  m.authRequest = null;
  moveTopics(m);
  resendPublishes(m);
  goLive(m, welcome);
}
