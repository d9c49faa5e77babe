/**
 * Whose credentials this tab has, by the server's own word: tabs of two people must never share.
 *
 * A cookie may be another user's since the page was loaded, and a token says nothing that could be trusted. So the
 * server is asked for its `welcome`, by an event stream without topics that is left at once.
 */

import type { EngineOptions } from "../engine.js";
import type { RawFrame } from "../machine/values.js";
import { LOADERS, openLater } from "../transports/later.js";
import type { Link } from "../transports/link.js";

const ANSWER_MS = 5_000;
const LEFT = 1000;

/** A name for the user and tenant of a welcome; null where it says none. */
export function identityOf({ user, tenant }: RawFrame): string | null {
  return typeof user === "string" ? JSON.stringify([user, tenant ?? null]) : null;
}

/** The identity, or null where it cannot be had now. Never rejects. */
export function identify(options: EngineOptions, force: boolean): Promise<string | null> {
  const { environment, auth } = options;
  const stop = new AbortController();
  return new Promise((resolve) => {
    let link: Link | null = null;
    const end = (identity: string | null): void => {
      cancel();
      stop.abort();
      link?.drop(LEFT);
      resolve(identity);
    };
    const cancel = environment.timer(ANSWER_MS, () => end(null));
    const asked = Promise.resolve().then(() => auth()?.({ force, signal: stop.signal }));
    asked.then(
      (given) => {
        if (!stop.signal.aborted) {
          link = askWith(options, typeof given === "string" ? given : null, end);
        }
      },
      () => end(null),
    );
  });
}

function askWith(
  { environment, url }: EngineOptions,
  token: string | null,
  end: (identity: string | null) => void,
): Link {
  const subscribe = { type: "subscribe", topics: [] } as const;
  return openLater(
    LOADERS.sse,
    { environment, url, token, subscribe },
    {
      open: () => {},
      warn: () => {},
      frame: (frame) => {
        if (frame?.type === "welcome") end(identityOf(frame));
      },
      lost: () => end(null),
    },
  );
}
