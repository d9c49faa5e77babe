/**
 * The values that go into the connection machine and come out of it.
 *
 * They are plain JSON: `spec/scenarios/README.md` documents each, and the Python twin speaks the same.
 * All durations are in milliseconds, all times are milliseconds of one clock that the caller reads.
 */

import type { TidingsEvent } from "../event.js";
import type { ClientFrame, PublishFrame, SubscribeFrame } from "../frames.js";

/** The states of a connection, in the order of the columns of the table in `machine.ts`. */
export const STATES = [
  "idle",
  "connecting",
  "live",
  "reconnecting",
  "paused",
  "blocked",
  "failed",
  "closed",
] as const;
export type ConnectionState = (typeof STATES)[number];

export type TransportName = "websocket" | "sse" | "poll";

/** What a subscription to one topic is doing. `denied` has an error; `stale` was live and will be again. */
export type SubscriptionState = "idle" | "subscribing" | "live" | "stale" | "denied";

/** Why the connection is not live; a closed list. `null` while nothing is wrong. */
export type Reason =
  | "auth_failed" // the application's `auth` threw
  | "ended" // the server closed with 1000
  | "forbidden" // 4403
  | "frozen" // the browser froze the page
  | "hidden" // hidden longer than the application wants to stay connected
  | "lost" // the link broke, or could not be made
  | "page_hidden" // pagehide: the page went into the back/forward cache
  | "paused" // the application asked for it
  | "prerendering" // the page has not been shown yet
  | "refused" // 1008
  | "restart" // 1012: the server restarts
  | "silent" // nothing came, not even an answer to the probe
  | "slow_down" // 4429 or 4503
  | "timeout" // no `welcome` in time
  | "unauthorized"; // 4401, and renewing the credentials did not help

/** A parsed frame from the server, not to be trusted: the machine reads only what it has checked. */
export type RawFrame = Readonly<Record<string, unknown>>;

export interface PublishRequest {
  /** The caller's number for it; comes back in the effect `settle`. */
  request: number;
  topic: string;
  event: string;
  data: PublishFrame["data"];
  trace_id?: string;
  version?: number;
  idempotency_key?: string;
  /** How long it may wait for a connection; 0 or absent: not at all. */
  queue_ms?: number;
}

/** The inputs, less `now` and `random`, which come with each. */
export type Input =
  | { input: "subscribe"; subscriber: number; topics: readonly string[]; since?: Since }
  | { input: "unsubscribe"; subscriber: number }
  | { input: "flush" }
  | ({ input: "publish" } & PublishRequest)
  | { input: "token"; generation: number; token: string | null }
  | { input: "auth_failed"; generation: number }
  | { input: "open"; generation: number }
  | { input: "frame"; generation: number; frame: RawFrame | null }
  | { input: "lost"; generation: number; code: number | null }
  | { input: "timer"; name: TimerName }
  | { input: Simple };

/** Cursors by topic. */
export type Since = Readonly<Record<string, string | null | undefined>>;

/** Inputs without fields: what the application asks for, and what the page tells. */
export type Simple =
  | "reconnect"
  | "reauth"
  | "pause"
  | "resume"
  | "close"
  | "online"
  | "offline"
  | "visible"
  | "hidden"
  | "page_show" // restored from the back/forward cache
  | "page_hide"
  | "freeze"
  | "thaw" // the page's `resume` event, or a clock that jumped: the machine slept
  | "slow_network" // the browser says: slow, or paid by the byte
  | "fast_network"
  | "activated"; // a prerendered page is shown

/** The timers; each name has at most one running. */
export const TIMERS = [
  "connect",
  "watchdog",
  "probe",
  "backoff",
  "stable",
  "linger",
  "idle",
  "reauth",
  "wake",
  "hidden",
  "publish",
  "retry",
  "move",
  "climb",
] as const;
export type TimerName = (typeof TIMERS)[number];

/** What the driver has to do, in this order. */
export type Effect =
  | {
      effect: "status";
      state: ConnectionState;
      reason: Reason | null;
      /** The close code behind `reason`, for developers. */
      code: number | null;
      /** Failed tries since the connection was last stable. */
      attempt: number;
      /** How long until the next try, where one is planned. */
      wait_ms: number | null;
      /** What carries the events; null while not live. */
      transport: TransportName | null;
      /** No transport is left: who shows data should fetch it anew now and then. */
      refetching: boolean;
    }
  | { effect: "auth"; generation: number; force: boolean }
  | {
      effect: "dial";
      generation: number;
      transport: TransportName;
      token: string | null;
      /** What SSE and poll begin with: on these a dial and its first question are one request. */
      subscribe?: SubscribeFrame;
    }
  | { effect: "drop"; generation: number; code: number }
  /** Without a generation it is for the current connection. */
  | { effect: "send"; frame: ClientFrame; generation?: number }
  | { effect: "remember"; transport: TransportName }
  | { effect: "timer"; name: TimerName; ms: number }
  | { effect: "cancel"; name: TimerName }
  | { effect: "flush" }
  | { effect: "topic"; topic: string; state: SubscriptionState; error?: TopicError }
  | { effect: "deliver"; topic: string; event: TidingsEvent; to?: readonly number[] }
  | { effect: "gap"; topic: string; reason: string; cursor: string | null; to?: readonly number[] }
  | { effect: "settle"; request: number; cursor: string }
  | { effect: "settle"; request: number; error: TopicError }
  | { effect: "report"; level: "warn" | "error"; code: string; topic?: string; message?: string };

/** A refusal: a code of the wire's closed list (or of the machine's own), and the server's words. */
export interface TopicError {
  code: string;
  message?: string;
}

/** Every number that the machine follows. */
export interface MachineOptions {
  /** From the best to the last resort. */
  transports: readonly TransportName[];
  /** What worked before in this session of the browser. */
  remembered: TransportName | null;
  /** The application has an `auth` function: ask it before every dial. */
  auth: boolean;
  /** Failed tries in a row that lead to `failed`; null: never give up. */
  attempts_limit: number | null;
  /** Also report what a developer should mend. */
  development: boolean;
  /** The page at the start. */
  hidden: boolean;
  prerendering: boolean;
  slow: boolean;
  /** Leave after being hidden for so long; null: stay. */
  pause_after_ms: number | null;
  connect_ms: number;
  /** The same for a transport that has not worked yet, where another is left. */
  first_ms: number;
  /** After so long below the best transport it is tried again; then doubling. */
  climb_ms: number;
  climb_cap_ms: number;
  /** The longest pause while no transport is left. */
  refetching_cap_ms: number;
  /** What is added to the server's heartbeat before the link is doubted. */
  watchdog_slack_ms: number;
  probe_ms: number;
  backoff_base_ms: number;
  backoff_cap_ms: number;
  /** The least wait after the server said to slow down. */
  slow_down_ms: number;
  /** A hidden page dials at most once in so long. */
  hidden_dial_ms: number;
  /** The least wait while the browser says that it is offline. */
  offline_ms: number;
  stable_ms: number;
  topic_linger_ms: number;
  connection_linger_ms: number;
  /** How long the position of a topic that nobody uses is remembered. */
  cursor_keep_ms: number;
  reauth_before_ms: number;
  reauth_jitter_ms: number;
  wake_ms: number;
  /** Events kept per topic for a subscriber that comes with an older position. */
  buffer_ms: number;
  buffer_events: number;
  publish_ms: number;
}

export const DEFAULTS: Readonly<MachineOptions> = {
  transports: ["websocket"],
  remembered: null,
  auth: false,
  attempts_limit: null,
  development: false,
  hidden: false,
  prerendering: false,
  slow: false,
  pause_after_ms: null,
  connect_ms: 10_000,
  first_ms: 5_000,
  climb_ms: 10_000,
  climb_cap_ms: 600_000,
  refetching_cap_ms: 10_000,
  watchdog_slack_ms: 10_000,
  probe_ms: 3_000,
  backoff_base_ms: 1_000,
  backoff_cap_ms: 30_000,
  slow_down_ms: 5_000,
  hidden_dial_ms: 60_000,
  offline_ms: 30_000,
  stable_ms: 10_000,
  topic_linger_ms: 5_000,
  connection_linger_ms: 30_000,
  cursor_keep_ms: 300_000,
  reauth_before_ms: 60_000,
  reauth_jitter_ms: 10_000,
  wake_ms: 250,
  buffer_ms: 30_000,
  buffer_events: 256,
  publish_ms: 10_000,
};

/** `connect_ms` as TypeScript spells it: `connectMs`. */
export type Camel<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S;

/** Whether it is an object of the server's. */
export function isObject(value: unknown): value is RawFrame {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A number of the server's that is one, and not below zero. */
export function numberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}
