/**
 * What the tabs of one browser say to each other. Every tab hears everything; each takes what is for it.
 *
 * One tab leads: it has the connection, and the others are its guests. `term` numbers its leadership, so that what
 * an earlier leader still says is not heard.
 */

import type { Told } from "../driver.js";
import type { PresenceFrame } from "../frames.js";
import type { TopicSnapshot } from "../machine/machine.js";
import type { PublishRequest, RawFrame, Since } from "../machine/values.js";

/** One use of topics by one subscriber of a tab, as the leader needs to know it. */
export interface Lease {
  readonly subscriber: number;
  readonly topics: readonly string[];
  readonly since: Since;
}

/** What a tab asks of its leader. */
export type Wish =
  | ({ input: "subscribe" } & Lease)
  | { input: "unsubscribe"; subscriber: number }
  | ({ input: "publish" } & PublishRequest)
  | { input: "presence"; frame: PresenceFrame }
  | { input: "reconnect" | "reauth" | "visible" | "hidden" };

/** All that a leader needs to serve a tab: said once at each change of leadership. */
export interface Hello {
  /** How many wishes that have a number the tab has had so far. */
  readonly count: number;
  readonly visible: boolean;
  readonly leases: readonly Lease[];
  /** Publishes without an answer: they go out again, and are stored once by their idempotency keys. */
  readonly publishes: readonly PublishRequest[];
}

/** Numbers of subscribers, by tab; the tabs that are missing have none. */
export type Addressed = Readonly<Record<string, readonly number[]>>;
type Named<N extends Told["effect"]> = Extract<Told, { effect: N }>;

/** What the leader tells: the effects of its machine, addressed to the subscribers of all tabs. */
export type News =
  | Named<"status">
  | Named<"report">
  | (Named<"topic"> & { readonly cursor: string | null })
  /** Without `to`: for everyone that has joined. */
  | (Omit<Named<"deliver">, "to"> & { readonly to?: Addressed })
  | (Omit<Named<"gap">, "to"> & { readonly to?: Addressed })
  | (Named<"settle"> & { readonly tab: string })
  /** The tab's wishes up to this number have been followed; its topics stand thus. */
  | {
      readonly effect: "joined";
      readonly tab: string;
      readonly count: number;
      readonly topics: Readonly<Record<string, TopicSnapshot>>;
      /** To who has just come: how the connection is. */
      readonly status?: Named<"status">;
      /** Of the connection, where it has one. */
      readonly session?: unknown;
    }
  /** A frame of the server's, for extensions; without `tab` for all. */
  | { readonly effect: "frame"; readonly frame: RawFrame; readonly tab?: string };

export type Message =
  /** Is there a leader? */
  | { readonly kind: "ask"; readonly tab: string }
  /** This tab leads; also the answer to `ask`. */
  | { readonly kind: "lead"; readonly tab: string; readonly term: number }
  | { readonly kind: "hello"; readonly tab: string; readonly term: number; readonly hello: Hello }
  | {
      readonly kind: "wish";
      readonly tab: string;
      readonly term: number;
      readonly count: number;
      readonly wish: Wish;
    }
  | { readonly kind: "news"; readonly tab: string; readonly term: number; readonly news: News[] }
  /** This tab takes part no longer. */
  | { readonly kind: "bye"; readonly tab: string }
  /** The server says that the credentials are another user's now: each tab is to find out whose its own are. */
  | { readonly kind: "scatter"; readonly tab: string };
