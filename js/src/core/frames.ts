/** Every frame of the wire, as `spec/frames.schema.json` states it. */
import type { ErrorCode, UnrecoveredReason, UnsubscribedReason } from "./codes.js";
import type { Cursor } from "./cursor.js";
import type { EventFrame, PublishedEvent } from "./event.js";

/** Chosen by the client and echoed in the answer: a whole number within ±(2^53-1), or at most 64 characters. */
export type FrameId = number | string;

export interface SubscribeFrame {
  readonly type: "subscribe";
  readonly topics: readonly string[];
  /** Where to go on, by topic. */
  readonly since?: Readonly<Record<string, Cursor>>;
  /** Be present on these topics too. */
  readonly presence?: boolean;
  readonly id?: FrameId;
}

export interface UnsubscribeFrame {
  readonly type: "unsubscribe";
  readonly topics: readonly string[];
  readonly id?: FrameId;
}

export interface PingFrame {
  readonly type: "ping";
  readonly id?: FrameId;
}

export interface AuthFrame {
  readonly type: "auth";
  readonly token: string;
  readonly id?: FrameId;
}

export interface PublishFrame extends PublishedEvent {
  readonly type: "publish";
  /** 1 to 128 characters; a repeat within 10 minutes answers the first cursor. */
  readonly idempotency_key?: string;
  readonly id?: FrameId;
}

/** Be present on a topic that is held, with a state of one's own; again, to change it; or be it no longer. */
export interface PresenceFrame {
  readonly type: "presence";
  readonly topic: string;
  /** At most 1,024 bytes as compact JSON. */
  readonly state?: Readonly<Record<string, unknown>>;
  readonly leave?: boolean;
  readonly id?: FrameId;
}

export type ClientFrame =
  | SubscribeFrame
  | UnsubscribeFrame
  | PingFrame
  | AuthFrame
  | PublishFrame
  | PresenceFrame;

/** The first frame of a connection: only it means connected. */
export interface WelcomeFrame {
  readonly type: "welcome";
  readonly topic: "system";
  readonly protocol: 1;
  readonly user: string;
  readonly tenant: string | null;
  readonly session: string;
  /** The server's time, ISO 8601 in UTC. */
  readonly time: string;
  readonly heartbeat_seconds: number;
  readonly expires_in_seconds: number | null;
  readonly limits: {
    readonly topics_per_frame: number;
    readonly topics_per_connection: number;
    readonly frame_bytes: number;
  };
  readonly id?: FrameId;
}

/** Where one subscription starts, and whether what was missed follows. */
export interface TopicAnswer {
  /** Null for a wildcard, which has no position. */
  readonly cursor: Cursor | null;
  readonly recovered: boolean;
  /** Why not, with `recovered: false`. */
  readonly reason?: UnrecoveredReason;
  /** For the developer: such as a topic type that nothing publishes. */
  readonly warning?: string;
}

/** The answer to a subscribe; without `id` and with `recovered: false`, a live topic broke. */
export interface SubscribedFrame {
  readonly type: "subscribed";
  readonly topic: "system";
  readonly topics: Readonly<Record<string, TopicAnswer>>;
  readonly id?: FrameId;
}

/** The answer to an unsubscribe; with `reason`, the topics were taken away. */
export interface UnsubscribedFrame {
  readonly type: "unsubscribed";
  readonly topic: "system";
  readonly topics: readonly string[];
  readonly reason?: UnsubscribedReason;
  readonly id?: FrameId;
}

export interface ErrorFrame {
  readonly type: "error";
  readonly code: ErrorCode;
  readonly message: string;
  /** The topic that it is about, or `system`. */
  readonly topic: string;
  readonly retry_after_ms?: number;
  readonly id?: FrameId;
}

/** The answer to a ping; unsolicited, the server's heartbeat. */
export interface PongFrame {
  readonly type: "pong";
  readonly topic: "system";
  readonly id?: FrameId;
}

export interface PublishedFrame {
  readonly type: "published";
  readonly topic: string;
  readonly cursor: Cursor;
  readonly id: FrameId;
}

/** The server goes away: come back after a random part of the delay. */
export interface ReconnectFrame {
  readonly type: "reconnect";
  readonly topic: "system";
  readonly delay_ms: number;
}

/** One connection that is present; a user with several is several members. */
export interface MemberEntry {
  readonly session: string;
  readonly user: string;
  readonly state: Readonly<Record<string, unknown>>;
}

/** Who is present, in place of all that was known; without `members` the count alone is news. */
export interface MembersFrame {
  readonly type: "members";
  readonly topic: string;
  readonly members?: readonly MemberEntry[];
  readonly count: number;
  readonly complete: boolean;
}

/** These have come, or have changed their state. */
export interface JoinedFrame {
  readonly type: "joined";
  readonly topic: string;
  readonly members: readonly MemberEntry[];
}

/** These are present no longer. */
export interface LeftFrame {
  readonly type: "left";
  readonly topic: string;
  readonly sessions: readonly string[];
}

/** A server frame that carries a `type`; a type that is none of these is to be ignored. */
export type TypedServerFrame =
  | WelcomeFrame
  | SubscribedFrame
  | UnsubscribedFrame
  | ErrorFrame
  | PongFrame
  | PublishedFrame
  | ReconnectFrame
  | MembersFrame
  | JoinedFrame
  | LeftFrame;

export type ServerFrame = EventFrame | TypedServerFrame;
