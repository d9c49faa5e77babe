/**
 * A link over long-poll: requests that are held until something comes, and nothing kept in between.
 *
 * The server knows no session here, so this link knows the topics and their positions, and speaks to the
 * machine as a server would: `welcome` when a first answer has come, one `subscribed` for each question.
 */

import type { ClientFrame, SubscribeFrame } from "../frames.js";
import type { RawFrame } from "../machine/values.js";
import { errorFrame, isObject, post, refusalOf, SIGN_OF_LIFE } from "./http-requests.js";
import type { HttpDial } from "./later.js";
import type { Link, LinkEvents } from "./link.js";
import { PollTopics, type Question } from "./poll-topics.js";

const TOPICS_MAX = 100;
/** Answers that bring nothing are not asked for more often than this. */
const EMPTY_PAUSE_MS = 1_000;
/** The server holds a request for 25 s: what is not answered by then went over a connection that is dead. */
const ANSWER_MS_MAX = 35_000;
const WELCOME: RawFrame = {
  type: "welcome",
  topic: "system",
  heartbeat_seconds: 25,
  expires_in_seconds: null,
  limits: { topics_per_frame: TOPICS_MAX },
};

/** Dial. Throws nothing: what cannot be dialled is lost. */
export function openPoll(dial: HttpDial, events: LinkEvents): Link {
  const poll = new Poll(dial, events);
  poll.run();
  return poll;
}

/** The requests of up to a hundred topics, with what ends the one under way. */
interface Group {
  readonly topics: PollTopics;
  again: AbortController | null;
}

class Poll implements Link {
  readonly #dial: HttpDial;
  readonly #events: LinkEvents;
  readonly #stop = new AbortController();
  readonly #groups: Group[] = [];
  #token: string | null;
  #welcomed = false;

  constructor(dial: HttpDial, events: LinkEvents) {
    this.#dial = dial;
    this.#events = events;
    this.#token = dial.token;
  }

  run(): void {
    const { subscribe } = this.#dial;
    if (subscribe.topics.length === 0) {
      queueMicrotask(() => this.#end(null)); // nothing to ask for, so nothing to be welcomed by
    } else this.#subscribe(subscribe);
  }

  send(frame: ClientFrame): void {
    if (frame.type === "subscribe") this.#subscribe(frame);
    else if (frame.type === "unsubscribe") {
      for (const { topics } of this.#groups) topics.remove(frame.topics);
    } else if (frame.type === "ping") this.#guard(this.#knock(() => {}));
    else if (frame.type === "auth") {
      this.#token = frame.token;
      const { id } = frame;
      this.#guard(
        this.#knock(() => this.#tell({ ...WELCOME, ...(id === undefined ? {} : { id }) })),
      );
    } else {
      const message = "There is only polling at the moment, which cannot publish; try again later.";
      const refusal = { closeCode: null, code: "unavailable", message, retryAfterMs: null };
      // Never within the call that asks.
      queueMicrotask(() => this.#tell(errorFrame(refusal, frame.id)));
    }
  }

  drop(): void {
    this.#stop.abort();
    for (const { again } of this.#groups) again?.abort();
  }

  #subscribe(frame: SubscribeFrame): void {
    let rest = frame.topics;
    for (let index = 0; rest.length > 0; index++) {
      const group = this.#groups[index] ?? this.#add();
      const room = TOPICS_MAX - group.topics.size;
      if (room <= 0) continue;
      group.topics.add(rest.slice(0, room), frame.since ?? {}, frame.id);
      rest = rest.slice(room);
      if (group.again === null) this.#guard(this.#follow(group));
      else group.again.abort(); // what it would have brought comes with the next
    }
  }

  #add(): Group {
    const group: Group = { topics: new PollTopics(), again: null };
    this.#groups.push(group);
    return group;
  }

  /** One request after the other, while the group has topics. */
  async #follow(group: Group): Promise<void> {
    let empty = 0;
    while (group.topics.size > 0 && !this.#over) {
      const again = new AbortController();
      group.again = again;
      // Other requests may well be answered, so nobody else would notice.
      const stop = this.#dial.environment.timer(ANSWER_MS_MAX, () => again.abort());
      let asked: Question;
      let frames: readonly RawFrame[] | null;
      try {
        const held = group.topics.unconfirmed();
        if (held.length > 0 && !(await this.#confirm(group.topics, held, again.signal))) break;
        asked = group.topics.question();
        frames = await this.#ask(asked, again.signal);
      } catch (error) {
        if (again.signal.aborted && !this.#over) continue;
        throw error;
      } finally {
        stop();
      }
      if (frames === null || this.#over) break;
      this.#welcome();
      this.#tell(SIGN_OF_LIFE);
      for (const frame of group.topics.answer(asked, frames)) this.#tell(frame);
      empty = frames.some((frame) => frame.type === undefined) ? 0 : empty + 1;
      // The first answer of new topics is empty as a rule; another that comes at once would be for ever.
      if (empty > 1) await this.#pause(again.signal);
    }
    group.again = null;
  }

  /** Tell of topics whose next answer may be long in coming that they are followed; false where it was refused. */
  async #confirm(
    topics: PollTopics,
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const frames = await this.#ask({ topics: names }, signal);
    if (frames === null || this.#over) return false;
    this.#welcome();
    this.#tell(SIGN_OF_LIFE);
    for (const frame of topics.confirm(frames)) this.#tell(frame);
    return !this.#over;
  }

  /** Ask what is answered at once: somebody is there, and the credentials are good. */
  async #knock(then: () => void): Promise<void> {
    const topic = this.#groups[0]?.topics.any() ?? this.#dial.subscribe.topics[0];
    const frames = await this.#ask(
      { topics: topic === undefined ? [] : [topic] },
      this.#stop.signal,
    );
    if (frames === null || this.#over) return;
    this.#welcome();
    this.#tell(SIGN_OF_LIFE);
    then();
  }

  /** One request; null where it was refused, which has then been told. */
  async #ask(body: object, signal: AbortSignal): Promise<readonly RawFrame[] | null> {
    const response = await post(this.#dial, "poll", body, this.#token, signal);
    if (!response.ok) {
      const refusal = await refusalOf(response);
      if (refusal.retryAfterMs !== null) this.#tell(errorFrame(refusal));
      this.#end(refusal.closeCode);
      return null;
    }
    const answer: unknown = await response.json();
    if (!isObject(answer) || !Array.isArray(answer.frames))
      throw new TypeError("no answer of ours");
    return answer.frames.filter(isObject);
  }

  #pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#dial.environment.timer(EMPTY_PAUSE_MS, resolve);
      signal.addEventListener("abort", () => {
        stop();
        resolve();
      });
    });
  }

  #guard(work: Promise<void>): void {
    work.catch(() => this.#end(null));
  }

  get #over(): boolean {
    return this.#stop.signal.aborted;
  }

  #welcome(): void {
    if (this.#welcomed) return;
    this.#welcomed = true;
    this.#tell(WELCOME);
  }

  #tell(frame: RawFrame): void {
    if (!this.#over) this.#events.frame(frame);
  }

  #end(code: number | null): void {
    if (this.#over) return;
    this.drop();
    this.#events.lost(code);
  }
}
