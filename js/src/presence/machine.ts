/**
 * Presence on one connection: inputs in, effects out. No I/O, no clock, no timers.
 *
 * It stands beside the connection's machine, which knows nothing of it: a page without presence loads none of
 * this. `spec/presence/` holds the scripts that it and its Python twin both follow.
 */

import type {
  Effect,
  Frame,
  Input,
  Member,
  RoomError,
  RoomState,
  RoomView,
  State,
} from "./values.js";

/** States follow one another no faster; the last one is always sent. */
export const STATE_MS = 100;
/** After the server said to slow down. */
const SLOW_MS = 1_000;
/** Of every frame of ours, so that an error is known for an answer to it. */
const ID = "presence";

interface Room {
  readonly topic: string;
  readonly members: Map<string, Member>;
  wanted: boolean;
  mine: State | null;
  /** A frame has gone out over this connection. */
  entered: boolean;
  /** The state has not gone out yet. */
  dirty: boolean;
  notBefore: number;
  count: number;
  complete: boolean;
  state: RoomState;
  error: RoomError | null;
}

export class PresenceMachine {
  readonly #rooms = new Map<string, Room>();
  #session: string | null = null;
  /** There is a connection. */
  #connected = false;
  #flushing = false;
  #effects: Effect[] = [];
  #changed = new Set<string>();
  #now = 0;

  /** The name of this connection's session; null while there is none. */
  get session(): string | null {
    return this.#session;
  }

  /** What is known of a topic; null where nobody wants to be present. */
  view(topic: string): RoomView | null {
    const room = this.#rooms.get(topic);
    if (room === undefined) return null;
    const { count, complete, state, error } = room;
    return { members: [...room.members.values()], count, complete, state, error };
  }

  handle(input: Input, now: number): Effect[] {
    this.#effects = [];
    this.#changed = new Set();
    this.#now = now;
    this.#take(input);
    return [
      ...this.#effects,
      ...[...this.#changed].map((topic) => ({ effect: "changed", topic }) as const),
    ];
  }

  #take(input: Input): void {
    switch (input.input) {
      case "enter":
        this.#enter(input.topic, input.state ?? null);
        break;
      case "update":
        this.#update(input.topic, input.state);
        break;
      case "leave":
        this.#leave(input.topic);
        break;
      case "connected":
        this.#onConnected(input.session);
        break;
      case "lost":
        this.#onLost();
        break;
      case "frame":
        this.#onFrame(input.frame);
        break;
      case "flush":
        this.#flushing = false;
        this.#flush();
        break;
      case "timer":
        this.#sendStates();
    }
  }

  #enter(topic: string, state: State | null): void {
    const known = this.#rooms.get(topic);
    const room: Room = known ?? {
      topic,
      members: new Map(),
      wanted: true,
      mine: null,
      entered: false,
      dirty: false,
      notBefore: 0,
      count: 0,
      complete: true,
      state: this.#stateNow(),
      error: null,
    };
    this.#rooms.set(topic, room);
    room.wanted = true;
    if (state !== null) this.#setMine(room, state);
    if (known === undefined) this.#tell(room);
    this.#flushSoon();
  }

  #update(topic: string, state: State): void {
    const room = this.#rooms.get(topic);
    if (room === undefined) return;
    this.#setMine(room, state);
    this.#sendStates();
  }

  #setMine(room: Room, state: State): void {
    room.mine = state;
    room.dirty = room.entered;
    if (room.state === "live") this.#become(room, "live"); // an error of the state before is over
  }

  #leave(topic: string): void {
    const room = this.#rooms.get(topic);
    if (room === undefined) return;
    room.wanted = false;
    this.#flushSoon();
  }

  /** Who leaves and enters in one moment, as a component that is mounted twice, sends nothing. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#effects.push({ effect: "flush" });
  }

  #flush(): void {
    for (const room of this.#rooms.values()) {
      if (!room.wanted) {
        this.#rooms.delete(room.topic);
        if (room.entered) this.#send(room, { leave: true });
      } else if (!room.entered && this.#session !== null && room.state !== "denied") {
        room.entered = true;
        this.#sendState(room);
      }
    }
    this.#sendStates();
  }

  #send(room: Room, fields: Frame): void {
    const frame = { type: "presence", topic: room.topic, ...fields, id: ID } as const;
    this.#effects.push({ effect: "send", frame });
  }

  #sendState(room: Room): void {
    room.dirty = false;
    room.notBefore = this.#now + STATE_MS;
    this.#send(room, room.mine === null ? {} : { state: room.mine });
  }

  /** The states whose time has come; the timer for the others. */
  #sendStates(): void {
    let next = Number.POSITIVE_INFINITY;
    for (const room of this.#rooms.values()) {
      if (!room.dirty || !room.wanted) continue;
      if (room.notBefore <= this.#now) this.#sendState(room);
      else next = Math.min(next, room.notBefore);
    }
    if (next !== Number.POSITIVE_INFINITY) {
      this.#effects.push({ effect: "timer", ms: Math.ceil(next - this.#now) });
    }
  }

  #stateNow(): RoomState {
    if (!this.#connected) return "away";
    return this.#session === null ? "unavailable" : "joining";
  }

  #onConnected(session: string | null): void {
    this.#connected = true;
    this.#session = session;
    for (const room of this.#rooms.values()) this.#startAnew(room);
    if (session !== null && this.#rooms.size > 0) this.#flush();
  }

  #onLost(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#session = null;
    for (const room of this.#rooms.values()) this.#startAnew(room);
  }

  #startAnew(room: Room): void {
    room.entered = false;
    room.dirty = false;
    this.#become(room, this.#stateNow());
  }

  #become(room: Room, state: RoomState, error: RoomError | null = null): void {
    if (room.state === state && room.error === error) return;
    room.state = state;
    room.error = error;
    this.#tell(room);
  }

  #tell(room: Room): void {
    this.#changed.add(room.topic);
  }

  // Frames. Nothing in them is trusted; what is not understood is ignored.

  #onFrame(frame: Frame): void {
    const { type, topic } = frame;
    const room = typeof topic === "string" ? this.#rooms.get(topic) : undefined;
    if (type === "subscribed") this.#onSubscribed(frame);
    else if (type === "unsubscribed") this.#onUnsubscribed(frame);
    else if (room === undefined) return;
    else if (type === "error") this.#onError(room, frame);
    else if (!room.entered) return;
    else if (type === "members") this.#onMembers(room, frame);
    else if (type === "joined" && room.state === "live") this.#onJoined(room, frame);
    else if (type === "left" && room.state === "live") this.#onLeft(room, frame);
  }

  #onMembers(room: Room, frame: Frame): void {
    if (Array.isArray(frame.members)) {
      room.members.clear();
      this.#put(room, frame.members);
    }
    room.complete = frame.complete !== false;
    room.count = typeof frame.count === "number" ? frame.count : room.members.size;
    room.state = "live";
    room.error = null;
    this.#tell(room);
  }

  #onJoined(room: Room, { members }: Frame): void {
    if (!Array.isArray(members)) return;
    this.#put(room, members);
    this.#counted(room);
  }

  #onLeft(room: Room, { sessions }: Frame): void {
    if (!Array.isArray(sessions)) return;
    for (const session of sessions) room.members.delete(session as string);
    this.#counted(room);
  }

  #counted(room: Room): void {
    if (room.complete) room.count = room.members.size;
    this.#tell(room);
  }

  #put(room: Room, members: readonly unknown[]): void {
    for (const member of members) {
      if (isMember(member)) {
        const { session, user, state } = member;
        room.members.set(session, { session, user, state });
      }
    }
  }

  #onError(room: Room, frame: Frame): void {
    if (frame.id !== ID) return;
    const code = typeof frame.code === "string" ? frame.code : "internal";
    if (code === "rate_limited") {
      room.dirty = true;
      room.notBefore = this.#now + SLOW_MS;
      this.#sendStates();
      return;
    }
    const { message } = frame;
    const error = typeof message === "string" ? { code, message } : { code };
    if (code === "no_presence") this.#refuse(room, error);
    else this.#become(room, room.state, error); // of one state alone, such as one that is too large
  }

  #refuse(room: Room, error: RoomError): void {
    room.entered = false;
    room.dirty = false;
    room.members.clear();
    room.count = 0;
    room.complete = true;
    this.#become(room, "denied", error);
  }

  /** A topic that was refused before is held now. */
  #onSubscribed({ topics, id }: Frame): void {
    if (typeof topics !== "object" || topics === null || (id ?? undefined) === undefined) return;
    for (const topic of Object.keys(topics)) {
      const room = this.#rooms.get(topic);
      if (room?.state !== "denied") continue;
      this.#become(room, "joining");
      this.#flushSoon();
    }
  }

  /** Topics were taken away, and presence with them. */
  #onUnsubscribed({ topics, id, reason }: Frame): void {
    if ((id ?? undefined) !== undefined || !Array.isArray(topics)) return;
    for (const topic of topics) {
      const room = this.#rooms.get(topic as string);
      const code = typeof reason === "string" ? reason : "disconnected";
      if (room !== undefined) this.#refuse(room, { code });
    }
  }
}

function isMember(value: unknown): value is Member {
  if (typeof value !== "object" || value === null) return false;
  const { session, user, state } = value as Partial<Record<keyof Member, unknown>>;
  return (
    typeof session === "string" &&
    typeof user === "string" &&
    typeof state === "object" &&
    state !== null &&
    !Array.isArray(state)
  );
}
