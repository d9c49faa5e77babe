/** Who is present at the fake server: this client, and whom a test lets come. */

import { ErrorCode } from "../core/codes.js";
import type { MemberEntry, PresenceFrame, ServerFrame } from "../core/frames.js";

type State = MemberEntry["state"];

export interface PresenceWorld {
  readonly say: (frame: ServerFrame) => void;
  readonly holds: (topic: string) => boolean;
  /** This client, as the others see it. */
  readonly me: () => { readonly session: string; readonly user: string };
}

export class FakeRooms {
  readonly #world: PresenceWorld;
  readonly #others = new Map<string, Map<string, MemberEntry>>();
  /** The topics on which this client is present, with its state. */
  readonly #own = new Map<string, State>();

  constructor(world: PresenceWorld) {
    this.#world = world;
  }

  take({ topic, state, leave, id }: PresenceFrame): void {
    const { say, holds } = this.#world;
    if (!holds(topic)) {
      const message = `The connection has not subscribed to ${topic}.`;
      const answerId = id === undefined ? {} : { id };
      say({ type: "error", code: ErrorCode.NO_PRESENCE, message, topic, ...answerId });
    } else if (leave === true) this.#own.delete(topic);
    else {
      const isNew = !this.#own.has(topic);
      this.#own.set(topic, state ?? this.#own.get(topic) ?? {});
      if (isNew) this.#list(topic);
      else say({ type: "joined", topic, members: [this.#mine(topic)] });
    }
  }

  come(topic: string, user: string, state: State): void {
    const member = { session: `session-of-${user}`, user, state };
    const others = this.#others.get(topic) ?? new Map<string, MemberEntry>();
    others.set(user, member);
    this.#others.set(topic, others);
    if (this.#own.has(topic)) this.#world.say({ type: "joined", topic, members: [member] });
  }

  go(topic: string, user: string): void {
    if (!this.#others.get(topic)?.delete(user) || !this.#own.has(topic)) return;
    this.#world.say({ type: "left", topic, sessions: [`session-of-${user}`] });
  }

  /** The connection has ended. */
  forget(): void {
    this.#own.clear();
  }

  #list(topic: string): void {
    const members = [...(this.#others.get(topic)?.values() ?? []), this.#mine(topic)];
    this.#world.say({ type: "members", topic, members, count: members.length, complete: true });
  }

  #mine(topic: string): MemberEntry {
    return { ...this.#world.me(), state: this.#own.get(topic) ?? {} };
  }
}
