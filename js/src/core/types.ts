/** The types of the public interface. */

import type { Wire } from "./driver.js";
import type { SocketConstructor } from "./environment.js";
import type { TidingsEvent } from "./event.js";
import type {
  Camel,
  ConnectionState,
  MachineOptions,
  Reason,
  SubscriptionState,
  TransportName,
} from "./machine/values.js";

/**
 * Your events, by topic type. Extend it to have payloads typed:
 *
 *     declare module "tidings" { interface Register { events: { "gift-list": { UPDATED: Gift } } } }
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be extended.
export interface Register {}

type Registered = Register extends { events: infer E } ? E : Record<never, never>;
type TypeOf<T extends string> = T extends `${infer R}:${string}` ? R : never;

/** The event of a topic: a union told apart by `event` where its type is registered, else with unknown payload. */
export type EventOf<T extends string> = [TypeOf<T>] extends [never]
  ? TidingsEvent
  : TypeOf<T> extends keyof Registered
    ? {
        [Name in keyof Registered[TypeOf<T>] & string]: TidingsEvent<
          Registered[TypeOf<T>][Name]
        > & { readonly event: Name };
      }[keyof Registered[TypeOf<T>] & string]
    : TidingsEvent;

export type Unsubscribe = () => void;

/** What is handed to `onGap`: events may have been missed, so fetch anew. */
export interface Gap {
  readonly topic: string;
  /** One of `unrecovered` in spec/codes.json. */
  readonly reason: string;
  /** Where the topic goes on; null where it has no history. */
  readonly cursor: string | null;
}

/** What a subscription to one topic is doing; frozen, and the same object until it changes. */
export interface TopicState {
  readonly state: SubscriptionState;
  readonly error: { readonly code: string; readonly message?: string } | null;
}

export interface SubscribeOptions {
  /** The position of the data that you have: a cursor, or cursors by topic. What came after it is delivered. */
  since?: string | null | Readonly<Record<string, string | null | undefined>>;
  onGap?: (gap: Gap) => void;
  onState?: (state: TopicState, topic: string) => void;
}

/** The connection, exactly; for people there is `useConnectionStatus`. Frozen, the same object until it changes. */
export interface Status {
  readonly state: ConnectionState;
  /** What carries the events; null while not live. */
  readonly transport: TransportName | null;
  /** No transport is left at the moment: fetch anew now and then what the page shows. */
  readonly refetching: boolean;
  /** While it looks for a connection: when a response last came by `live.fetch` or `live.note`, in milliseconds. */
  readonly fetchedAt: number | null;
  /** While `refetching`: when somebody last asked by `reconnect()`, so that it is fetched now; else null. */
  readonly askedAt: number | null;
  /** When `state` began, in milliseconds. */
  readonly since: number;
  readonly everLive: boolean;
  /** When it was last live; null before the first time, and now while it is live. */
  readonly lastLiveAt: number | null;
  readonly attempt: number;
  readonly nextTryAt: number | null;
  readonly reason: Reason | null;
  /** The close code, for developers. */
  readonly code: number | null;
}

export interface PublishData {
  entity_id: string;
  payload?: unknown;
}

export interface PublishOptions {
  /** Wait so long for a connection; without it a publish while not connected is refused at once. */
  queueMs?: number;
  /** A repeat with the same key is published once; made where absent. */
  idempotencyKey?: string;
  traceId?: string;
  version?: number;
}

/** A change that this page makes: send the headers with the request, and its event comes back with the trace. */
export interface Mutation {
  readonly traceId: string;
  readonly headers: { readonly traceparent: string };
}

type Milliseconds = Exclude<
  {
    [K in keyof MachineOptions]: MachineOptions[K] extends number ? K : never;
  }[keyof MachineOptions],
  never
>;
/** The machine's numbers, in milliseconds (and `bufferEvents`, a count). */
export type Timing = { [K in Milliseconds as Camel<K>]?: number };

export interface ConnectOptions {
  /** Where the server is: a path on the page's own origin, or an absolute http(s) or ws(s) address. */
  url?: string;
  /** Gives a token before every dial; with `force` the last one was refused or is about to expire. */
  auth?: (context: {
    force: boolean;
    signal: AbortSignal;
  }) => Promise<string | null> | string | null;
  /** What may be used, from the first choice to the last; all three where absent. */
  transports?: readonly TransportName[];
  /** After so many failed reconnects in a row: `failed`. Without it the client never gives up. */
  attemptsLimit?: number;
  /** Leave when the page has been hidden for so long; it catches up when shown. Without it: stay. */
  pauseAfterMs?: number;
  /** Told of what a developer should know; the console where absent. */
  onError?: (error: TidingsError) => void;
  /** Also tell what should be mended in the code; on unless the build is for production. */
  development?: boolean;
  timing?: Timing;
  WebSocket?: SocketConstructor;
  fetch?: typeof fetch;
  /** One connection for all tabs of this browser that show the same user; each its own where that cannot be had. */
  share?: "tabs" | false;
  /** Clients of the same address are one client; another name makes another. */
  name?: string;
}

export interface Live {
  subscribe<const T extends string>(
    topics: T | readonly T[],
    handler: (event: EventOf<T>) => void,
    options?: SubscribeOptions,
  ): Unsubscribe;
  publish(
    topic: string,
    event: string,
    data: PublishData,
    options?: PublishOptions,
  ): Promise<{ cursor: string }>;
  readonly status: Status;
  onStatus(listener: (status: Status) => void): Unsubscribe;
  topicState(topic: string): TopicState;
  /** Where the topic's stream is on this page; null where it has no position. */
  position(topic: string): string | null;
  /** Dial now, whatever the state; counting of attempts begins anew. A page that refetches does so now. */
  reconnect(): void;
  /** There are new credentials (of the same user). */
  reauth(): void;
  pause(): void;
  resume(): void;
  /** The end of this client. */
  close(): void;
  /** Until it is live; rejects where it will not be. */
  ready(options?: { signal?: AbortSignal }): Promise<void>;
  /** `fetch` that starts a trace and notes the cursors of the response. */
  fetch: typeof fetch;
  /** The same for a response of another HTTP library; returns the cursors, by topic. */
  note(
    response: { readonly headers: { get(name: string): string | null } },
    signal?: AbortSignal | null,
  ): Readonly<Record<string, string>>;
  /** The cursors of the responses that were fetched with this signal; null where there were none. */
  cursorsOf(signal: AbortSignal): Readonly<Record<string, string>> | null;
  mutation(): Mutation;
  debug(): Debug;
  /** For extensions, such as `tidings/presence`. */
  readonly wire?: Wire | undefined;
}

export interface Debug {
  readonly status: Status;
  readonly generation: number;
  readonly subscribers: number;
  readonly topics: Readonly<
    Record<string, { state: SubscriptionState; cursor: string | null; leases: number }>
  >;
}

/** An error with a code of spec/codes.json, or of the client's own. */
export class TidingsError extends Error {
  readonly code: string;
  readonly topic: string | null;

  constructor(code: string, message: string, topic: string | null = null, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "TidingsError";
    this.code = code;
    this.topic = topic;
  }
}
