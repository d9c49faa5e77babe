/** Who is on a topic: `presence(live, "gift-list:1", { state: { typing: false } })`. */

import type { Live } from "../core/types.js";
import { roomsOf } from "./rooms.js";
import type { Member as Entry, RoomError, RoomState, State } from "./values.js";

export type { RoomError, RoomState, State } from "./values.js";

/** One connection that is present; a user with several is several members. */
export interface Member<S extends State = State> extends Entry<S> {
  /** It is this page's own. */
  readonly self: boolean;
}

/** One user, with all that it has open. */
export interface PresentUser<S extends State = State> {
  readonly user: string;
  readonly members: readonly Member<S>[];
  /** This page is one of them. */
  readonly self: boolean;
}

/** What is known at a moment. Frozen, and the same object until something changes. */
export interface PresenceView<S extends State = State> {
  /** In the order of their coming. What others say of themselves, nobody has checked. */
  readonly members: readonly Member<S>[];
  readonly users: readonly PresentUser<S>[];
  /** How many members there are. */
  readonly count: number;
  /** False: there are too many to be named, and `members` are some of them. */
  readonly complete: boolean;
  readonly state: RoomState;
  readonly error: RoomError | null;
}

export interface Presence<S extends State = State> {
  readonly view: PresenceView<S>;
  /** Say something else of oneself. It goes out at most ten times a second, and the last one always does. */
  update(state: S): void;
  onChange(listener: (view: PresenceView<S>) => void): () => void;
  /** Be present no longer; the others are told at once. */
  leave(): void;
}

export interface PresenceOptions<S extends State = State> {
  /** What one says of oneself at first; {} where absent. At most 1,024 bytes. */
  state?: S;
}

/** Nobody has been asked yet. */
export const NOBODY: PresenceView<never> = Object.freeze({
  members: Object.freeze([]),
  users: Object.freeze([]),
  count: 0,
  complete: true,
  state: "joining",
  error: null,
});

/** Be present on a topic, and see who else is. The topic is subscribed to for as long as that lasts. */
export function presence<S extends State = State>(
  live: Live,
  topic: string,
  options: PresenceOptions<S> = {},
): Presence<S> {
  const rooms = roomsOf(live);
  const listeners = new Set<(view: PresenceView<S>) => void>();
  let view: PresenceView<S> | null = null;
  let left = false;
  const look = (): PresenceView<S> => {
    if (left) view ??= NOBODY as PresenceView<never> as PresenceView<S>;
    else view ??= viewOf<S>(live, topic);
    return view;
  };
  const changed = (): void => {
    view = null;
    for (const listener of [...listeners]) listener(look());
  };
  rooms.enter(topic, options.state, changed);
  return {
    get view() {
      return look();
    },
    update(state) {
      if (!left) rooms.update(topic, state);
    },
    onChange(listener) {
      const own = (now: PresenceView<S>): void => listener(now);
      listeners.add(own);
      return () => {
        listeners.delete(own);
      };
    },
    leave() {
      left = true;
      view = null;
      rooms.leave(topic, changed);
    },
  };
}

function viewOf<S extends State>(live: Live, topic: string): PresenceView<S> {
  const rooms = roomsOf(live);
  const room = rooms.view(topic);
  if (room === null) return NOBODY as PresenceView<never> as PresenceView<S>;
  const members = room.members.map((member) =>
    Object.freeze({ ...(member as Entry<S>), self: member.session === rooms.session }),
  );
  const { count, complete, state, error } = room;
  return Object.freeze({
    members: Object.freeze(members),
    users: Object.freeze(usersOf(members)),
    count,
    complete,
    state,
    error,
  });
}

function usersOf<S extends State>(members: readonly Member<S>[]): PresentUser<S>[] {
  const byUser = new Map<string, Member<S>[]>();
  for (const member of members) {
    const mine = byUser.get(member.user);
    if (mine === undefined) byUser.set(member.user, [member]);
    else mine.push(member);
  }
  return [...byUser].map(([user, own]) =>
    Object.freeze({ user, members: own, self: own.some(({ self }) => self) }),
  );
}
