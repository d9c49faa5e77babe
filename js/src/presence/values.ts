/** What goes into the presence machine and comes out of it: plain JSON, as `spec/presence/README.md` has it. */

import type { PresenceFrame } from "../core/frames.js";

export type State = Readonly<Record<string, unknown>>;

/** One connection that is present; a user with several is several members. */
export interface Member<S extends State = State> {
  readonly session: string;
  readonly user: string;
  readonly state: S;
}

/**
 * `joining`: asked for; `live`; `away`: there is no connection; `unavailable`: the one that there is, polling,
 * cannot have it; `denied`: the server refused, see `error`.
 */
export type RoomState = "joining" | "live" | "away" | "unavailable" | "denied";

export interface RoomError {
  readonly code: string;
  readonly message?: string;
}

/** What is known of one topic. Members stay as they were last known while the connection is away. */
export interface RoomView {
  readonly members: readonly Member[];
  /** How many there are. */
  readonly count: number;
  /** False: there are too many, and `members` are some of them. */
  readonly complete: boolean;
  readonly state: RoomState;
  readonly error: RoomError | null;
}

export type Frame = Readonly<Record<string, unknown>>;

export type Input =
  | { input: "enter"; topic: string; state?: State }
  | { input: "update"; topic: string; state: State }
  | { input: "leave"; topic: string }
  /** A connection, with the session's name; null where it cannot have presence. */
  | { input: "connected"; session: string | null }
  | { input: "lost" }
  | { input: "frame"; frame: Frame }
  /** The task that caused the effect `flush` has ended. */
  | { input: "flush" }
  | { input: "timer" };

export type Effect =
  | { effect: "send"; frame: PresenceFrame }
  | { effect: "changed"; topic: string }
  | { effect: "flush" }
  /** The one timer, started anew. */
  | { effect: "timer"; ms: number };
