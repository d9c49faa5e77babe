/**
 * The connection machine: inputs in, effects out. No I/O, no clock, no randomness, no timers.
 *
 * Every transition is a cell of TABLE or of TIMER_TABLE: an input in a state. `____` says that the input means
 * nothing there. `spec/scenarios/` holds the scripts that this machine and its Python twin both follow.
 */

import { onClimbing } from "./climb.js";
import {
  abandon,
  close,
  dial,
  dialByHand,
  goIdle,
  onAuthFailed,
  onBackoff,
  onLost,
  onStable,
  openSocket,
  probe,
  redial,
  replace,
  start,
  wanted,
  watchHidden,
  watchUse,
} from "./connection.js";
import { arm, type Context, createContext, send, type Topic } from "./context.js";
import { onEarlyFrame, onFrame } from "./frames.js";
import { climb, climbNow, firstTransport, onClimbTimeout } from "./ladder.js";
import { pause, redialIfBlind, unpause, wakeFromPause } from "./page.js";
import { onPublishDeadline, publish } from "./publishes.js";
import { renew, renewLater, sendRenewal } from "./renewal.js";
import { flush, lease, release, retryTopics, sweep } from "./subscriptions.js";
import {
  type ConnectionState,
  DEFAULTS,
  type Effect,
  type Input,
  type MachineOptions,
  STATES,
  type SubscriptionState,
  type TimerName,
  type TopicError,
} from "./values.js";

type InputName = Input["input"];
/** The input of that name, narrowed. */
type Of<N extends InputName> = Input & { readonly input: N };
type Cell<N extends InputName> = (m: Context, input: Of<N>) => void;
/** One cell for each of STATES, in that order. */
type Row<C> = readonly [C, C, C, C, C, C, C, C];

const ____ = (): void => {};

const join: Cell<"subscribe"> = (m, { subscriber, topics, since }) =>
  lease(m, subscriber, topics, since);
const joinIdle: Cell<"subscribe"> = (m, input) => {
  join(m, input);
  if (wanted(m)) start(m);
};
const part: Cell<"unsubscribe"> = (m, { subscriber }) => release(m, subscriber);
const publishIdle: Cell<"publish"> = (m, input) => {
  publish(m, input);
  if (wanted(m)) start(m);
};
const credentials: Cell<"token"> = (m, { token }) => {
  if (m.authorizing) openSocket(m, token);
};
const renewal: Cell<"token"> = (m, { token }) => {
  if (m.authorizing) sendRenewal(m, token);
};
const firstFrame = (m: Context): void => {
  if (m.token !== null) send(m, { type: "auth", token: m.token });
  m.token = null;
};
const early: Cell<"frame"> = (m, { frame }) => onEarlyFrame(m, frame);
const inbound: Cell<"frame"> = (m, { frame }) => onFrame(m, frame);
const lost: Cell<"lost"> = (m, { code }) => onLost(m, code);
const byHand = dialByHand;
const renewDial = (m: Context): void => redial(m, null, true);
const wake = (m: Context): void => {
  if (!m.timers.has("wake")) arm(m, "wake", m.options.wake_ms);
};
const onlineLive = (m: Context): void => {
  wake(m);
  climbNow(m);
};
const hold = (m: Context): void => pause(m, "paused");
const hide = (m: Context): void => pause(m, "page_hidden");
const freeze = (m: Context): void => pause(m, "frozen");
const dim = watchHidden;
const end = close;

/** What each input does in each state. */
// biome-ignore format: a table is read by its columns.
const TABLE: { readonly [N in Exclude<InputName, "timer">]: Row<Cell<N>> } = {
  //             idle         connecting               live        reconnecting paused         blocked  failed   closed
  subscribe:    [joinIdle,    join,                    join,       join,    join,          join,    join,    ____],
  unsubscribe:  [part,        part,                    part,       part,    part,          part,    part,    ____],
  flush:        [flush,       flush,                   flush,      flush,   flush,         flush,   flush,   ____],
  publish:      [publishIdle, publish,                 publish,    publish, publish,       publish, publish, publish],
  token:        [____,        credentials,             renewal,    ____,    ____,          ____,    ____,    ____],
  auth_failed:  [____,        onAuthFailed, renewLater, ____,    ____,          ____,    ____,    ____],
  open:         [____,        firstFrame,              ____,       ____,    ____,          ____,    ____,    ____],
  frame:        [____,        early,                   inbound,    ____,    ____,          ____,    ____,    ____],
  lost:         [____,        lost,                    lost,       ____,    ____,          ____,    ____,    ____],
  reconnect:    [byHand,      ____,                    byHand,     byHand,  byHand,        byHand,  byHand,  ____],
  reauth:       [____,        renewDial,               renew,      ____,    ____,          byHand,  ____,    ____],
  pause:        [hold,        hold,                    hold,       hold,    hold,          ____,    ____,    ____],
  resume:       [____,        ____,                    ____,       ____,    unpause,       ____,    ____,    ____],
  close:        [end,         end,                     end,        end,     end,           end,     end,     ____],
  online:       [____,        wake,                    onlineLive, wake,    wake,          ____,    ____,    ____],
  offline:      [____,        ____,                    probe,      ____,    ____,          ____,    ____,    ____],
  visible:      [____,        wake,                    wake,       wake,    wake,          ____,    ____,    ____],
  hidden:       [____,        dim,                     dim,        dim,     ____,          ____,    ____,    ____],
  page_show:    [____,        wake,                    wake,       wake,    wakeFromPause, ____,    ____,    ____],
  page_hide:    [____,        hide,                    hide,       hide,    ____,          ____,    ____,    ____],
  freeze:       [____,        freeze,                  freeze,     freeze,  ____,          ____,    ____,    ____],
  thaw:         [____,        wake,                    wake,       wake,    wake,          ____,    ____,    ____],
  slow_network: [____,        ____,                    ____,       ____,    ____,          ____,    ____,    ____],
  fast_network: [____,        ____,                    climbNow,   ____,    ____,          ____,    ____,    ____],
  activated:    [____,        ____,                    ____,       ____,    wakeFromPause, ____,    ____,    ____],
};

const giveUp = (m: Context): void => abandon(m, "timeout");
const silent = (m: Context): void => replace(m, "silent");
const move = (m: Context): void => redial(m, "restart");
const leaveHidden = (m: Context): void => pause(m, "hidden");
const idle = goIdle;
/** Topics that a dial asks for cannot be left before it is connected. */
const lingerOn = (m: Context): void => arm(m, "linger", m.options.topic_linger_ms);
const overdue = onPublishDeadline;

/** What each timer does in each state. */
// biome-ignore format: a table is read by its columns.
const TIMER_TABLE: { readonly [N in TimerName]: Row<(m: Context) => void> } = {
  //         idle  connecting     live                 reconnecting          paused         blocked failed closed
  connect:  [____, giveUp,        onClimbTimeout,      ____,                 ____,          ____, ____, ____],
  watchdog: [____, ____,          probe,               ____,                 ____,          ____, ____, ____],
  probe:    [____, ____,          silent,              ____,                 ____,          ____, ____, ____],
  backoff:  [____, ____,          ____,                onBackoff, ____,          ____, ____, ____],
  stable:   [____, ____,          onStable, ____,                 ____,          ____, ____, ____],
  linger:   [____, lingerOn,      sweep,               ____,                 ____,          ____, ____, ____],
  idle:     [____, idle,          idle,                idle,                 ____,          ____, ____, ____],
  reauth:   [____, ____,          renew,               ____,                 ____,          ____, ____, ____],
  wake:     [____, redialIfBlind, probe,               dial,                 wakeFromPause, ____, ____, ____],
  hidden:   [____, leaveHidden,   leaveHidden,         leaveHidden,          ____,          ____, ____, ____],
  publish:  [____, overdue,       overdue,             overdue,              overdue,       ____, ____, ____],
  retry:    [____, ____,          retryTopics,         ____,                 ____,          ____, ____, ____],
  move:     [____, ____,          move,                ____,                 ____,          ____, ____, ____],
  climb:    [____, ____,          climb,               ____,                 ____,          ____, ____, ____],
};

/** What the table says for a timer or another input in a state: handled or ignored. For tests and diagrams. */
export function isHandled(
  state: ConnectionState,
  input: InputName | `timer.${TimerName}`,
): boolean {
  const column = STATES.indexOf(state);
  const timer = input.startsWith("timer.") ? (input.slice(6) as TimerName) : null;
  const row = timer ? TIMER_TABLE[timer] : TABLE[input as Exclude<InputName, "timer">];
  const cell = row[column];
  if (cell === undefined) throw new Error(`no cell for ${input} in ${state}`);
  return cell !== ____;
}

/** The names of all inputs, timers as `timer.<name>`. */
export const INPUTS: readonly (InputName | `timer.${TimerName}`)[] = [
  ...(Object.keys(TABLE) as InputName[]),
  ...(Object.keys(TIMER_TABLE) as TimerName[]).map((name) => `timer.${name}` as const),
];

/** What a subscriber of a topic can know. */
export interface TopicSnapshot {
  readonly state: SubscriptionState;
  readonly error: TopicError | null;
  readonly cursor: string | null;
  readonly leases: number;
}

/** One connection's mind. Feed it inputs with the time and a random number in [0, 1); do what it answers. */
export class Machine {
  readonly #context: Context;

  constructor(options: Partial<MachineOptions> = {}) {
    const all = { ...DEFAULTS, ...options };
    this.#context = createContext(all, firstTransport(all));
  }

  handle(input: Input, now: number, random: number): Effect[] {
    const m = this.#context;
    m.now = now;
    m.random = random;
    m.effects = [];
    const before = statusOf(m);
    notePage(m, input);
    dispatch(m, input);
    watchUse(m);
    const after = statusOf(m);
    const changed = STATUS_FIELDS.some((field) => before[field] !== after[field]);
    return changed ? [after, ...m.effects] : m.effects;
  }

  get state(): ConnectionState {
    return this.#context.state;
  }

  get generation(): number {
    return this.#context.generation;
  }

  /** What a topic's subscribers can know; null for a topic that nobody uses and that does not linger. */
  topic(name: string): TopicSnapshot | null {
    const topic = this.#context.topics.get(name);
    return topic === undefined ? null : snapshot(topic);
  }

  /** All topics in use or lingering, for development tools. */
  topics(): Record<string, TopicSnapshot> {
    const all = [...this.#context.topics].map(([name, topic]) => [name, snapshot(topic)] as const);
    return Object.fromEntries(all);
  }
}

function snapshot({ state, error, cursor, leases }: Topic): TopicSnapshot {
  return { state, error, cursor, leases: leases.size };
}

function dispatch(m: Context, input: Input): void {
  // What an older dial says is not heard.
  if ("generation" in input && input.generation !== m.generation) {
    if (input.generation === m.climbing?.generation) onClimbing(m, input);
    return;
  }
  const column = STATES.indexOf(m.state);
  if (input.input === "timer") {
    if (m.timers.delete(input.name)) TIMER_TABLE[input.name][column]?.(m);
  } else {
    const cell = TABLE[input.input][column] as ((m: Context, input: Input) => void) | undefined;
    cell?.(m, input);
  }
}

/** What the page is like is known in every state. */
function notePage(m: Context, { input }: Input): void {
  if (input === "online") m.offline = false;
  else if (input === "offline") m.offline = true;
  else if (input === "hidden") m.hidden = true;
  else if (input === "visible" || input === "page_show") m.hidden = false;
  else if (input === "activated") m.prerendering = false;
  else if (input === "slow_network" || input === "fast_network") m.slow = input === "slow_network";
  if (!m.hidden && m.timers.has("hidden")) {
    m.timers.delete("hidden");
    m.effects.push({ effect: "cancel", name: "hidden" });
  }
}

type StatusEffect = Extract<Effect, { effect: "status" }>;
const STATUS_FIELDS = [
  "state",
  "reason",
  "code",
  "attempt",
  "wait_ms",
  "transport",
  "refetching",
] as const;
/** The states in which the client is, or was, after a connection. */
const SEEKING: ReadonlySet<ConnectionState> = new Set(["connecting", "reconnecting", "failed"]);

function statusOf(m: Context): StatusEffect {
  const wait = m.nextTryAt === null ? null : Math.max(0, m.nextTryAt - m.now);
  const { state, reason, code, attempt } = m;
  const transport = state === "live" ? m.transport : null;
  const refetching = m.refetching && SEEKING.has(state);
  return { effect: "status", state, reason, code, attempt, wait_ms: wait, transport, refetching };
}
