/**
 * Presence where several tabs share a connection. For the others they are one member: it comes with the first tab,
 * has the state that any of them said last, and goes with the last tab. Each tab hears all the rest.
 */

import type { PresenceFrame } from "../frames.js";
import type { RawFrame } from "../machine/values.js";

interface Room {
  readonly tabs: Set<string>;
  readonly members: Map<unknown, RawFrame>;
  /** The last `members`, but for its members; null until there was one. */
  whole: RawFrame | null;
}

export interface CompanyOptions {
  readonly send: (frame: PresenceFrame) => void;
  /** To one tab, or to all. */
  readonly tell: (frame: RawFrame, tab?: string) => void;
}

export class Company {
  readonly #options: CompanyOptions;
  readonly #rooms = new Map<string, Room>();
  #session: unknown = null;

  constructor(options: CompanyOptions) {
    this.#options = options;
  }

  /** The session of the connection; null where there is none. */
  get session(): unknown {
    return this.#session;
  }

  /** A frame of the server's. */
  hear(frame: RawFrame): void {
    const { type, topic } = frame;
    if (type === "welcome") {
      if (frame.session === this.#session) return; // credentials have been renewed
      this.#session = frame.session;
      this.#rooms.clear();
      this.#options.tell({ type, session: frame.session });
      return;
    }
    const room = this.#rooms.get(topic as string);
    if (room !== undefined) this.#note(room, frame);
    else if (this.#rooms.size === 0 || (type !== "subscribed" && type !== "unsubscribed")) return;
    if (type === "error" && frame.code === "no_presence") this.#rooms.delete(topic as string);
    this.#options.tell(frame);
  }

  /** A tab is present, says something else of itself, or leaves. */
  wish(tab: string, frame: PresenceFrame): void {
    const { topic, state, leave } = frame;
    const known = this.#rooms.get(topic);
    if (leave === true) {
      if (known?.tabs.delete(tab) !== true || known.tabs.size > 0) return;
      this.#rooms.delete(topic);
      this.#options.send(frame);
      return;
    }
    const room: Room = known ?? { tabs: new Set(), members: new Map(), whole: null };
    this.#rooms.set(topic, room);
    if (!room.tabs.has(tab) && room.whole !== null) {
      this.#options.tell({ ...room.whole, members: [...room.members.values()] }, tab);
    }
    room.tabs.add(tab);
    if (known === undefined || state !== undefined) this.#options.send(frame);
  }

  /** A tab has gone. */
  leave(tab: string): void {
    for (const [topic, { tabs }] of [...this.#rooms]) {
      if (tabs.has(tab)) this.wish(tab, { type: "presence", topic, leave: true });
    }
  }

  #note(room: Room, { type, ...frame }: RawFrame): void {
    if (type === "members") {
      if (Array.isArray(frame.members)) room.members.clear();
      room.whole = { type, ...frame };
    }
    if (type === "left" && Array.isArray(frame.sessions)) {
      for (const session of frame.sessions) room.members.delete(session);
    } else if (Array.isArray(frame.members)) {
      for (const member of frame.members) room.members.set(member?.session, member);
    }
    if (room.whole?.complete !== false && room.whole !== null) {
      room.whole = { ...room.whole, count: room.members.size };
    }
  }
}
