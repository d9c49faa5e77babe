/** The transports over HTTP are fetched when they are needed: most pages never do. */

import type { Environment } from "../environment.js";
import type { ClientFrame, SubscribeFrame } from "../frames.js";
import type { Link, LinkEvents } from "./link.js";

/** What a dial over HTTP starts with. */
export interface HttpDial {
  readonly environment: Environment;
  readonly url: string;
  readonly token: string | null;
  /** Its first question. */
  readonly subscribe: SubscribeFrame;
}

export type OpenHttp = (dial: HttpDial, events: LinkEvents) => Link;

export const LOADERS: Readonly<Record<"sse" | "poll", () => Promise<OpenHttp>>> = {
  sse: async () => (await import("./sse.js")).openSse,
  poll: async () => (await import("./poll.js")).openPoll,
};

/** A link at once, which begins when its code is there. Code that cannot be had is a link that is lost. */
export function openLater(load: () => Promise<OpenHttp>, dial: HttpDial, events: LinkEvents): Link {
  let link: Link | null = null;
  let dropped = false;
  const begin = (open: OpenHttp): void => {
    if (!dropped) link = open(dial, events);
  };
  load().then(begin, () => {
    if (!dropped) events.lost(null);
  });
  return {
    // Nothing is sent before `welcome`, and that comes from the link.
    send: (frame: ClientFrame) => link?.send(frame),
    drop(code) {
      dropped = true;
      link?.drop(code);
    },
  };
}
