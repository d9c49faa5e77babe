/**
 * The connection in words for people: nothing for the blink of an eye, then calm and exact.
 *
 * Pure but for the clock and the timer that it is given. Trouble younger than `quietMs` is not shown; what is
 * shown stays for a second at least, so nothing flickers; and the return is told only to who saw the trouble.
 */

import type { Live, Status } from "./types.js";

export type HumaneState =
  | "quiet"
  | "connecting"
  | "reconnecting"
  | "refreshing"
  | "offline"
  | "action_needed"
  | "back"
  | "paused";
export type Tone = "good" | "neutral" | "warning" | "bad";

/** What a badge needs; frozen, and the same object until it changes. */
export interface Humane {
  readonly state: HumaneState;
  /** Whether there is something to say; while not, a small steady dot at most. */
  readonly show: boolean;
  readonly tone: Tone;
  readonly text: string;
  /** What a screen reader is told: only what matters, not each attempt. */
  readonly announcement: string;
  readonly action: "retry" | "sign_in" | null;
  /** For developers: transport, attempt, reason, close code. */
  readonly detail: string;
}

/** The words, for other languages; `{time}` is the time when the page was last live. */
export interface Words {
  live: string;
  connecting: string;
  reconnecting: string;
  /** No transport works, but fetching does. */
  refreshing: string;
  offline: string;
  neverLive: string;
  signIn: string;
  refused: string;
  failed: string;
  paused: string;
  back: string;
}

export const WORDS: Readonly<Words> = {
  live: "Live",
  connecting: "Connecting…",
  reconnecting: "Reconnecting…",
  refreshing: "Live updates can't get through. The page refreshes by itself.",
  offline: "You're offline. Showing what we had at {time}.",
  neverLive: "You're offline. We keep trying.",
  signIn: "Please sign in again to see live updates.",
  refused: "Live updates are switched off.",
  failed: "We couldn't reach the server.",
  paused: "Live updates are paused.",
  back: "Back online",
};

export const QUIET_MS = 1_000;
const LEAST_QUIET_MS = 300;
const AFTER_RETURN_MS = 3_000;
const OFFLINE_MS = 10_000;
const SHOWN_MS = 1_000;
const BACK_MS = 2_000;
/** An answer says so long that the page is not offline: one that refetches has the next in this time, at any speed. */
const REFRESHED_MS = 40_000;

export interface HumaneOptions {
  quietMs?: number;
  words?: Partial<Words>;
}

interface World {
  now(): number;
  timer(ms: number, run: () => void): () => void;
  clock(ms: number): string;
}

const BROWSER: World = {
  now: () => Date.now(),
  timer(ms, run) {
    const handle = setTimeout(run, ms);
    return () => clearTimeout(handle);
  },
  clock: (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }),
};

/** What a rendering server shows, and a page until it is awake. */
export const ASLEEP: Humane = Object.freeze({
  state: "quiet",
  show: false,
  tone: "neutral",
  text: "",
  announcement: "",
  action: null,
  detail: "",
});

/** The rest comes and goes too often to be read out. */
const ANNOUNCED: ReadonlySet<HumaneState> = new Set([
  "refreshing",
  "offline",
  "action_needed",
  "back",
]);

type Face = Omit<Humane, "detail">;

/** Follows one client; a store with `subscribe` and `get`. */
export class HumaneStatus {
  readonly #live: Live;
  readonly #world: World;
  readonly #words: Words;
  readonly #quietMs: number;
  readonly #listeners = new Set<() => void>();
  #value: Humane = ASLEEP;
  #status: Status;
  #troubleAt: number | null;
  #patienceMs: number;
  #shownAt: number | null = null;
  #backUntil = 0;
  #stopTimer: (() => void) | null = null;
  #off: (() => void) | null = null;

  constructor(live: Live, options: HumaneOptions = {}, world: World = BROWSER) {
    this.#live = live;
    this.#world = world;
    this.#words = { ...WORDS, ...options.words };
    this.#quietMs = Math.max(LEAST_QUIET_MS, options.quietMs ?? QUIET_MS);
    this.#patienceMs = this.#quietMs;
    this.#status = live.status;
    this.#troubleAt = isTrouble(this.#status)
      ? (this.#status.lastLiveAt ?? this.#status.since)
      : null;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    if (this.#listeners.size === 0) {
      this.#off = this.#live.onStatus(() => this.#note());
      this.#note();
    }
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#off?.();
      this.#stopTimer?.();
    };
  };

  readonly get = (): Humane => this.#value;

  /** The exact status has changed. */
  #note(): void {
    const before = this.#status;
    const status = this.#live.status;
    this.#status = status;
    if (!isTrouble(status)) this.#troubleAt = null;
    else if (this.#troubleAt === null) {
      this.#troubleAt = this.#world.now();
      // Right after coming back to a page, people are not looking at it yet.
      this.#patienceMs = before.state === "paused" ? AFTER_RETURN_MS : this.#quietMs;
    }
    this.#look();
  }

  /** Decide anew what is shown, and when to look again. */
  #look(): void {
    this.#stopTimer?.();
    const now = this.#world.now();
    const face = this.#face(now);
    const held = this.#shownAt !== null && now - this.#shownAt < SHOWN_MS;
    // What was shown stays for a moment, unless something more urgent is to be said.
    if (held && this.#shownAt !== null && rank(face) < rank(this.#value)) {
      this.#lookIn(this.#shownAt + SHOWN_MS - now);
      return;
    }
    if (!face.show) this.#shownAt = null;
    else if (face.state !== this.#value.state || this.#shownAt === null) this.#shownAt = now;
    this.#show({ ...face, detail: detailOf(this.#status) });
  }

  #face(now: number): Face {
    const { state, reason } = this.#status;
    const words = this.#words;
    if (state === "blocked") {
      return reason === "unauthorized"
        ? face("action_needed", "bad", words.signIn, "sign_in")
        : face("action_needed", "bad", words.refused, "retry");
    }
    if (state === "failed") return face("action_needed", "bad", words.failed, "retry");
    if (state === "paused" && reason === "paused") return face("paused", "neutral", words.paused);
    if (state === "live") return this.#whenLive(now);
    if (this.#troubleAt === null) return ASLEEP;
    return this.#whenTroubled(now - this.#troubleAt);
  }

  #whenLive(now: number): Face {
    const sawTrouble = this.#value.show && this.#value.state !== "back";
    const held = this.#shownAt !== null && now - this.#shownAt < SHOWN_MS;
    if (sawTrouble && !held && this.#value.state !== "connecting") this.#backUntil = now + BACK_MS;
    if (now < this.#backUntil) {
      this.#lookIn(this.#backUntil - now);
      return face("back", "good", this.#words.back);
    }
    return { ...ASLEEP, tone: "good", text: this.#words.live };
  }

  #whenTroubled(elapsedMs: number): Face {
    const { everLive, lastLiveAt } = this.#status;
    this.#backUntil = 0;
    const told = this.#value.show && this.#value.state !== "back";
    if (elapsedMs < this.#patienceMs && !told) {
      this.#lookIn(this.#patienceMs - elapsedMs);
      return {
        ...ASLEEP,
        tone: everLive ? "good" : "neutral",
        text: everLive ? this.#words.live : "",
      };
    }
    const { refetching, fetchedAt } = this.#status;
    const freshMs = fetchedAt === null ? 0 : fetchedAt + REFRESHED_MS - this.#world.now();
    if (refetching && freshMs > 0) {
      this.#lookIn(freshMs);
      return face("refreshing", "neutral", this.#words.refreshing, "retry");
    }
    // Who has answers is not offline, however long it takes to find what carries the events.
    const unknownMs = Math.max(OFFLINE_MS - elapsedMs, freshMs);
    if (unknownMs > 0) {
      this.#lookIn(unknownMs);
      return everLive
        ? face("reconnecting", "warning", this.#words.reconnecting)
        : face("connecting", "neutral", this.#words.connecting);
    }
    const text =
      lastLiveAt === null
        ? this.#words.neverLive
        : this.#words.offline.replace("{time}", this.#world.clock(lastLiveAt));
    return face("offline", "warning", text, "retry");
  }

  #lookIn(ms: number): void {
    this.#stopTimer?.();
    this.#stopTimer = this.#world.timer(ms, () => this.#look());
  }

  #show(value: Humane): void {
    const old = this.#value;
    if ((Object.keys(value) as (keyof Humane)[]).every((key) => old[key] === value[key])) return;
    this.#value = Object.freeze(value);
    for (const listener of [...this.#listeners]) listener();
  }
}

function face(state: HumaneState, tone: Tone, text: string, action: Face["action"] = null): Face {
  const announced = ANNOUNCED.has(state);
  return { state, show: true, tone, text, action, announcement: announced ? text : "" };
}

/** What may take the place of what at once. */
function rank({ state }: Pick<Humane, "state">): number {
  return [
    "quiet",
    "back",
    "connecting",
    "paused",
    "reconnecting",
    "refreshing",
    "offline",
    "action_needed",
  ].indexOf(state);
}

function isTrouble({ state }: Status): boolean {
  return state === "connecting" || state === "reconnecting";
}

function detailOf({ state, transport, attempt, reason, code }: Status): string {
  // That it is slower than it could be is no warning; it stands here only.
  const how =
    transport === null || transport === "websocket" ? state : `${state} (slower connection)`;
  const parts = [how, transport, attempt > 0 ? `attempt ${attempt}` : null, reason, code];
  return parts.filter((part) => part !== null).join(" · ");
}
