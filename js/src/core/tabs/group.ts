/**
 * Who leads: a machine without clock, locks or channel, for one tab of a group.
 *
 * The leader is who holds the group's lock; all others wait in its queue, so the lock of a tab that was closed or
 * crashed goes to the next at once. A frozen leader keeps its lock: then a tab that hears nothing asks, and where
 * no answer comes, takes the lock by force.
 */

import type { Message } from "./values.js";

export type GroupState = "away" | "seeking" | "following" | "leading";

export type GroupInput =
  | { input: "start"; tab: string; visible: boolean }
  | { input: "granted" }
  /** The lock was taken by force. */
  | { input: "lost" }
  | { input: "message"; message: Message }
  | { input: "timer" }
  | { input: "visible" | "hidden" | "take" | "leave" };

export type GroupEffect =
  | { effect: "queue" | "steal" | "release" | "cancel" }
  | { effect: "timer"; ms: number }
  | { effect: "post"; message: Message }
  | { effect: "lead"; term: number }
  | { effect: "follow"; term: number }
  /** The leadership that this tab had or followed is over. */
  | { effect: "detach" };

export const TIMES = {
  /** A visible tab asks a leader that has been silent for so long; a hidden one has time. */
  ask_ms: 700,
  ask_hidden_ms: 15_000,
  answer_ms: 1_000,
  /** So that two tabs do not take the lock from each other. */
  spread_ms: 200,
  /** A timer so late says that this tab itself stood still: the answer may wait in its queue. */
  late_ms: 300,
} as const;

/** Terms grow with the time, so that a tab that has just been opened begins above all earlier leaders. */
const TERMS_PER_MS = 1_000;

export class Group {
  #state: GroupState = "away";
  #tab = "";
  #term = 0;
  #visible = false;
  #heardAt = 0;
  #raisedAt = 0;
  #dueAt = 0;
  #asked = false;
  #effects: GroupEffect[] = [];
  #now = 0;
  #random = 0;

  get state(): GroupState {
    return this.#state;
  }

  /** The leadership that this tab leads or follows. */
  get term(): number {
    return this.#term;
  }

  /** Milliseconds of one clock, and a number in [0, 1). */
  handle(input: GroupInput, now: number, random: number): readonly GroupEffect[] {
    this.#now = now;
    this.#random = random;
    this.#effects = [];
    if (input.input === "start") this.#start(input.tab, input.visible);
    else if (this.#state !== "away") this.#handle(input);
    else if (input.input === "granted") this.#do({ effect: "release" });
    return this.#effects;
  }

  #handle(input: Exclude<GroupInput, { input: "start" }>): void {
    switch (input.input) {
      case "granted":
        this.#lead();
        break;
      case "lost":
        if (this.#state === "leading") this.#detach();
        this.#do({ effect: "queue" });
        if (this.#state === "seeking") this.#ask();
        break;
      case "message":
        this.#hear(input.message);
        break;
      case "timer":
        if (this.#state !== "leading") this.#onTimer();
        break;
      case "visible":
        this.#visible = true;
        // Who was away for long knows nothing: what it had asked may have been answered long ago.
        if (this.#state !== "leading") this.#ask();
        break;
      case "hidden":
        this.#visible = false;
        break;
      case "take":
        if (this.#state !== "leading") this.#do({ effect: "steal" });
        break;
      default:
        this.#leave();
    }
  }

  #start(tab: string, visible: boolean): void {
    if (this.#state !== "away") return;
    this.#tab = tab;
    this.#visible = visible;
    this.#state = "seeking";
    this.#do({ effect: "queue" });
    this.#ask();
  }

  #leave(): void {
    if (this.#state !== "seeking") this.#detach();
    this.#state = "away";
    this.#do({ effect: "cancel" });
    this.#post({ kind: "bye", tab: this.#tab });
    this.#do({ effect: "release" });
  }

  #lead(): void {
    if (this.#state === "leading") return;
    if (this.#state === "following") this.#detach();
    this.#raise();
    this.#state = "leading";
    this.#do({ effect: "cancel" });
    this.#do({ effect: "lead", term: this.#term });
    this.#post({ kind: "lead", tab: this.#tab, term: this.#term });
  }

  #raise(): void {
    const fresh = this.#now * TERMS_PER_MS + Math.floor(this.#random * TERMS_PER_MS);
    this.#term = Math.max(this.#term + 1, fresh);
  }

  #hear(message: Message): void {
    if (message.tab === this.#tab) return;
    if (message.kind === "lead") this.#hearLeader(message.term);
    else if (message.kind === "news" && message.term === this.#term) this.#heard();
    else if (message.kind === "ask" && this.#state === "leading") {
      this.#post({ kind: "lead", tab: this.#tab, term: this.#term });
    }
  }

  #hearLeader(term: number): void {
    if (this.#state === "leading") {
      // The lock decides, and this tab has it; if not, it will hear of that in a moment.
      if (term < this.#term || this.#now - this.#raisedAt < TIMES.answer_ms) return;
      this.#term = term;
      this.#raisedAt = this.#now;
      this.#raise();
      this.#post({ kind: "lead", tab: this.#tab, term: this.#term });
    } else if (term > this.#term || (term === this.#term && this.#state === "seeking")) {
      if (this.#state === "following") this.#detach();
      this.#term = term;
      this.#state = "following";
      this.#listen();
      this.#do({ effect: "follow", term });
    } else if (term === this.#term) this.#heard();
  }

  #heard(): void {
    if (this.#state !== "following") return;
    this.#heardAt = this.#now;
    if (this.#asked) this.#listen();
  }

  #onTimer(): void {
    const late = this.#now - this.#dueAt > TIMES.late_ms;
    const silentMs = this.#now - this.#heardAt;
    if (!this.#asked && silentMs < this.#askAfterMs()) this.#arm(this.#askAfterMs() - silentMs);
    else if (!this.#asked || late) this.#ask();
    else {
      this.#do({ effect: "steal" });
      this.#listen(); // and again, if nothing comes of it
    }
  }

  #askAfterMs(): number {
    return this.#visible ? TIMES.ask_ms : TIMES.ask_hidden_ms;
  }

  #ask(): void {
    this.#asked = true;
    this.#post({ kind: "ask", tab: this.#tab });
    this.#arm(TIMES.answer_ms + Math.floor(this.#random * TIMES.spread_ms));
  }

  #listen(): void {
    this.#asked = false;
    this.#heardAt = this.#now;
    this.#arm(this.#askAfterMs());
  }

  #detach(): void {
    this.#state = "seeking";
    this.#do({ effect: "detach" });
  }

  #arm(ms: number): void {
    this.#dueAt = this.#now + ms;
    this.#do({ effect: "timer", ms });
  }

  #post(message: Message): void {
    this.#do({ effect: "post", message });
  }

  #do(effect: GroupEffect): void {
    this.#effects.push(effect);
  }
}
