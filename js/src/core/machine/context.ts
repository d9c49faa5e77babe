/** What the machine knows between two inputs, and the few verbs by which its parts answer. */

import type { TidingsEvent } from "../event.js";
import type { ClientFrame, PublishFrame } from "../frames.js";
import type {
  ConnectionState,
  Effect,
  Input,
  MachineOptions,
  Reason,
  SubscriptionState,
  TimerName,
  TopicError,
  TransportName,
} from "./values.js";

/** One use of a topic by one subscriber of the page. */
export interface Lease {
  /** The position it asked for, until it has been served; then null. */
  since: string | null;
  /** It has its own data up to here: older events are not for it. */
  floor: string | null;
  /** It has been served by a live topic, so a loss concerns it. */
  attached: boolean;
}

/** An event kept for a subscriber that comes with an older position. */
export interface Kept {
  cursor: string;
  at: number;
  event: TidingsEvent;
}

/** One topic of the page. */
export interface Topic {
  readonly name: string;
  readonly leases: Map<number, Lease>;
  state: SubscriptionState;
  error: TopicError | null;
  /** `away`: the server does not hold it; `asked`: a subscribe is under way; `held`: it does. */
  place: "away" | "asked" | "held" | "refused";
  /** The id of the subscribe frame under way. */
  request: number | null;
  /** Whether that frame named a position. */
  askedSince: string | null;
  /** The one position: what has been received. Never moves back within an epoch. */
  cursor: string | null;
  /** With no lease: what had been delivered when the last one left. */
  delivered: string | null;
  buffer: Kept[];
  /** The buffer holds every event after this position. */
  bufferFrom: string | null;
  /** When to unsubscribe, once the last lease has gone. */
  leaveAt: number | null;
  /** When to ask again after a refusal that may pass. */
  retryAt: number | null;
}

/** The whole of the machine's memory. */
export interface Context {
  readonly options: MachineOptions;
  // The input being handled.
  now: number;
  random: number;
  effects: Effect[];
  // The connection.
  state: ConnectionState;
  reason: Reason | null;
  code: number | null;
  attempt: number;
  nextTryAt: number | null;
  /** The number of the current dial or connection, and of the newest dial: one beside it has another. */
  generation: number;
  dials: number;
  // The ladder.
  transport: TransportName;
  /** Transports that were welcomed in this visit. */
  readonly worked: Set<TransportName>;
  /** Connections in a row that broke soon after their `welcome`, by transport. */
  readonly breaks: Map<TransportName, number>;
  welcomedAt: number;
  /** This connection has been heard of long enough after its `welcome`. */
  proven: boolean;
  /** Failed dials in a row of this transport. */
  misses: number;
  /** No transport is left. */
  refetching: boolean;
  /** What the session of the browser remembers. */
  memory: TransportName | null;
  /** The dial that runs beside the living connection. */
  climbing: { generation: number; transport: TransportName; token: string | null } | null;
  climbMs: number;
  /** The token of this dial, until it has been sent. */
  token: string | null;
  /** Between the effect `auth` and its answer. */
  authorizing: boolean;
  /** The one forced renewal has been used up since the connection was last stable. */
  renewed: boolean;
  /** What went wrong has been told; once per outage. */
  told: boolean;
  /** The window that a `reconnect` frame or an error's `retry_after_ms` named. */
  windowMs: number | null;
  retryAfterMs: number | null;
  /** No dial before this time, but by hand. */
  notBefore: number;
  dialledAt: number | null;
  dialledHidden: boolean;
  watchdogMs: number;
  topicsPerFrame: number;
  /** The largest frame that the server takes; null where it names no bound. */
  frameBytes: number | null;
  // The page.
  hidden: boolean;
  offline: boolean;
  prerendering: boolean;
  slow: boolean;
  // The rest.
  nextId: number;
  authRequest: number | null;
  flushing: boolean;
  readonly timers: Set<TimerName>;
  readonly topics: Map<string, Topic>;
  readonly subscribers: Map<number, readonly string[]>;
  /** Positions of topics that nobody uses. */
  readonly remembered: Map<string, { cursor: string; until: number }>;
  /** Wildcards: the last position delivered, by topic. */
  readonly seen: Map<string, string>;
  readonly warned: Set<string>;
  /** Publishes that have no answer yet, in the order in which they came. */
  readonly publishes: Publish[];
}

/** One publish: waiting for a connection (`id` null), or for its answer. */
export interface Publish {
  readonly request: number;
  readonly frame: PublishFrame;
  readonly queued: boolean;
  id: number | null;
  /** Its frame in UTF-8, once it has been sent. */
  bytes: number;
  /** It was not taken in and goes out again: its time runs on. */
  again: boolean;
  /** Waiting for a connection no longer than to here; with an id, for the answer. */
  until: number;
}

/** One cell of the table. */
export type Handler<I extends Input = Input> = (m: Context, input: I) => void;

/** A machine that has heard nothing yet. */
export function createContext(options: MachineOptions, transport: TransportName): Context {
  return {
    options,
    now: 0,
    random: 0,
    effects: [],
    state: "idle",
    reason: null,
    code: null,
    attempt: 0,
    nextTryAt: null,
    generation: 0,
    dials: 0,
    transport,
    worked: new Set(),
    breaks: new Map(),
    welcomedAt: 0,
    proven: false,
    misses: 0,
    refetching: false,
    memory: options.remembered,
    climbing: null,
    climbMs: options.climb_ms,
    token: null,
    authorizing: false,
    renewed: false,
    told: false,
    windowMs: null,
    retryAfterMs: null,
    notBefore: 0,
    dialledAt: null,
    dialledHidden: false,
    watchdogMs: 0,
    topicsPerFrame: 100,
    frameBytes: null,
    hidden: options.hidden,
    offline: false,
    prerendering: options.prerendering,
    slow: options.slow,
    nextId: 1,
    authRequest: null,
    flushing: false,
    timers: new Set(),
    topics: new Map(),
    subscribers: new Map(),
    remembered: new Map(),
    seen: new Map(),
    warned: new Set(),
    publishes: [],
  };
}

/** Start a timer, or start it anew. */
export function arm(m: Context, name: TimerName, ms: number): void {
  m.timers.add(name);
  m.effects.push({ effect: "timer", name, ms: Math.max(0, Math.round(ms)) });
}

/** Stop timers, if they run. */
export function cancel(m: Context, ...names: readonly TimerName[]): void {
  for (const name of names) {
    if (m.timers.delete(name)) m.effects.push({ effect: "cancel", name });
  }
}

/** Send a frame over the current connection. */
export function send(m: Context, frame: ClientFrame): void {
  m.effects.push({ effect: "send", frame });
}

/** Change the state; the effect `status` is added at the end of the input. */
export function enter(
  m: Context,
  state: ConnectionState,
  reason: Reason | null = null,
  code: number | null = null,
): void {
  m.state = state;
  m.reason = reason;
  m.code = code;
  m.nextTryAt = null;
}

/** The number of a frame that expects an answer; never used twice. */
export function nextId(m: Context): number {
  return m.nextId++;
}

/** Tell the application's developer something, with a code whose sentence the driver knows. */
export function report(
  m: Context,
  level: "warn" | "error",
  code: string,
  more: { topic?: string; message?: string } = {},
): void {
  m.effects.push({ effect: "report", level, code, ...more });
}
