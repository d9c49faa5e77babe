/** A server of one client, in memory: it answers as the wire's rules say, and does what a test tells it. */

import { type CloseCode, ErrorCode, UnrecoveredReason, UnsubscribedReason } from "../core/codes.js";
import type { TidingsEvent } from "../core/event.js";
import type { ClientFrame, PublishFrame, ServerFrame, TopicAnswer } from "../core/frames.js";
import { isTopic, isWildcard, topicType } from "../core/topics.js";
import { History } from "./history.js";
import { FakeRooms } from "./presence.js";
import type { FakeSocket, SocketPeer } from "./socket.js";
import type { FakeTime } from "./time.js";

/** One frame of the conversation. */
export type TestFrame =
  | { readonly from: "client"; readonly frame: ClientFrame }
  | { readonly from: "server"; readonly frame: ServerFrame };

type Refusal = { readonly code: ErrorCode; readonly message: string };
type Of<T extends ClientFrame["type"]> = Extract<ClientFrame, { type: T }>;

const LOST = 1006;
/** The first moment of a test's world, for what shows a time. */
const DAWN = Date.parse("2026-11-23T15:00:00.000Z");

export class FakeServer implements SocketPeer {
  readonly frames: TestFrame[] = [];
  readonly held: Set<string> = new Set();
  /** Asked whenever a client dials. */
  reachable = true;
  readonly rooms: FakeRooms = new FakeRooms({
    say: (frame) => this.#say(frame),
    holds: (topic) => this.held.has(topic),
    me: () => ({ session: `session-${this.#sessions}`, user: this.#user }),
  });
  readonly #time: FakeTime;
  readonly #user: string;
  readonly #histories = new Map<string, History>();
  readonly #refusals = new Map<string, Refusal>();
  readonly #warnings = new Map<string, string>();
  readonly #published = new Map<string, string>();
  #socket: FakeSocket | null = null;
  #sessions = 0;
  #epochs = 0;

  constructor(time: FakeTime, user: string) {
    this.#time = time;
    this.#user = user;
  }

  // What a test tells it.

  cursor(topic: string): string {
    return this.#history(topic).head;
  }

  emit(
    event: Omit<TidingsEvent, "cursor" | "data"> & { data: Record<string, unknown> },
  ): TidingsEvent {
    const data = { timestamp: this.#timestamp(), ...event.data } as TidingsEvent["data"];
    const added = this.#history(event.topic).add({ ...event, data });
    if (this.held.has(event.topic) || this.held.has(`${topicType(event.topic)}:*`))
      this.#say(added);
    return added;
  }

  lose(topic: string, reason: UnrecoveredReason): void {
    this.#history(topic).lose(reason);
    const answer = { cursor: this.cursor(topic), recovered: false, reason };
    if (this.held.has(topic)) this.#say(subscribed({ [topic]: answer }));
  }

  deny(topic: string, refusal: Refusal): void {
    this.#refusals.set(topic, refusal);
    if (!this.held.delete(topic)) return;
    const reason = UnsubscribedReason.PERMISSION_CHANGED;
    this.#say({ type: "unsubscribed", topic: "system", topics: [topic], reason });
  }

  allow(topic: string): void {
    this.#refusals.delete(topic);
  }

  warn(topic: string, message: string): void {
    this.#warnings.set(topic, message);
  }

  /** End the connection, if there is one; without a code as networks do. */
  end(code: number = LOST): void {
    const socket = this.#socket;
    this.#forget();
    socket?.end(code);
  }

  // What the client's socket does.

  dialled(socket: FakeSocket): void {
    this.#time.microtask(() => {
      if (!this.reachable) return socket.end(LOST);
      this.#forget();
      this.#socket = socket;
      socket.open();
      this.#sessions += 1;
      this.#welcome();
    });
  }

  received(socket: FakeSocket, text: string): void {
    this.#time.microtask(() => {
      if (socket !== this.#socket) return;
      const frame = JSON.parse(text) as ClientFrame;
      this.frames.push({ from: "client", frame });
      this.#answer(frame);
    });
  }

  left(socket: FakeSocket): void {
    if (socket === this.#socket) this.#forget();
  }

  // Inside.

  #answer(frame: ClientFrame): void {
    if (frame.type === "subscribe") this.#subscribe(frame);
    else if (frame.type === "unsubscribe") this.#unsubscribe(frame);
    else if (frame.type === "publish") this.#publish(frame);
    else if (frame.type === "presence") this.rooms.take(frame);
    else if (frame.type === "ping") this.#say({ type: "pong", topic: "system", ...idOf(frame) });
    // The first `auth` has its welcome already, as a cookie would have: only a renewal asks for another.
    else if (frame.id !== undefined) this.#welcome(frame.id);
  }

  #subscribe({ topics: names, since = {}, ...frame }: Of<"subscribe">): void {
    const answers: [string, TopicAnswer][] = [];
    const missed: TidingsEvent[] = [];
    for (const name of new Set(names)) {
      const refusal = this.#refusal(name, isTopic(name) || isWildcard(name));
      if (refusal !== null) {
        this.#say({ type: "error", ...refusal, topic: name, ...idOf(frame) });
        continue;
      }
      const found = this.#begin(name, Object.hasOwn(since, name) ? since[name] : undefined);
      const warning = this.#warnings.get(name);
      answers.push([name, warning === undefined ? found.answer : { ...found.answer, warning }]);
      missed.push(...found.missed);
    }
    this.#say({ ...subscribed(Object.fromEntries(answers)), ...idOf(frame) });
    for (const event of missed) this.#say(event);
  }

  #unsubscribe({ topics, ...frame }: Of<"unsubscribe">): void {
    for (const topic of topics) this.held.delete(topic);
    this.#say({ type: "unsubscribed", topic: "system", topics, ...idOf(frame) });
  }

  #begin(name: string, since: string | undefined): ReturnType<History["from"]> {
    const isHeld = this.held.has(name);
    this.held.add(name);
    if (isWildcard(name)) {
      const reason = UnrecoveredReason.NO_HISTORY;
      return { answer: { cursor: null, recovered: false, reason }, missed: [] };
    }
    if (isHeld) return { answer: { cursor: this.cursor(name), recovered: true }, missed: [] };
    return this.#history(name).from(since);
  }

  #publish({ type: _type, id, idempotency_key: key, ...event }: PublishFrame): void {
    const { topic } = event;
    const answerId = id === undefined ? {} : { id };
    const refusal = this.#refusal(topic, isTopic(topic));
    if (refusal !== null) {
      this.#say({ type: "error", ...refusal, topic, ...answerId });
      return;
    }
    const known = key === undefined ? undefined : this.#published.get(`${topic} ${key}`);
    const data = { ...event.data, user_id: this.#user };
    const cursor = known ?? this.emit({ ...event, data }).cursor;
    if (key !== undefined) this.#published.set(`${topic} ${key}`, cursor);
    if (id !== undefined) this.#say({ type: "published", topic, cursor, id });
  }

  #refusal(topic: string, isOne: boolean): Refusal | null {
    if (!isOne) return { code: ErrorCode.BAD_TOPIC, message: `"${topic}" is not a topic.` };
    return this.#refusals.get(topic) ?? null;
  }

  #welcome(id?: number | string): void {
    this.#say({
      type: "welcome",
      topic: "system",
      protocol: 1,
      user: this.#user,
      tenant: null,
      session: `session-${this.#sessions}`,
      time: this.#timestamp(),
      heartbeat_seconds: 25,
      expires_in_seconds: null,
      limits: { topics_per_frame: 100, topics_per_connection: 256, frame_bytes: 131_072 },
      ...(id === undefined ? {} : { id }),
    });
  }

  #say(frame: ServerFrame): void {
    if (this.#socket === null) return;
    // As text, so that the page gets what JSON makes of a payload, and a copy of it.
    const text = JSON.stringify(frame);
    this.frames.push({ from: "server", frame: JSON.parse(text) as ServerFrame });
    this.#socket.say(text);
  }

  #forget(): void {
    this.#socket = null;
    this.rooms.forget();
    this.held.clear();
  }

  #history(topic: string): History {
    const known = this.#histories.get(topic);
    if (known !== undefined) return known;
    const made = new History(() => {
      this.#epochs += 1;
      return `test${this.#epochs}`;
    });
    this.#histories.set(topic, made);
    return made;
  }

  #timestamp(): string {
    return new Date(DAWN + this.#time.elapsedMs).toISOString();
  }
}

/** The close codes that a server ends a connection with; 1006 is the network's. */
export type EndCode = CloseCode | typeof LOST;

function subscribed(
  topics: Readonly<Record<string, TopicAnswer>>,
): Extract<ServerFrame, { type: "subscribed" }> {
  return { type: "subscribed", topic: "system", topics };
}

function idOf(frame: { id?: number | string }): { id?: number | string } {
  return frame.id === undefined ? {} : { id: frame.id };
}
