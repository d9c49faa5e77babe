/** A link over WebSocket. */

import type { SocketConstructor } from "../environment.js";
import type { RawFrame } from "../machine/values.js";
import type { Link, LinkEvents } from "./link.js";

/** `wss://host/realtime/ws` from the address that the application gives: absolute, or a path on the page's origin. */
export function webSocketUrl(url: string, base: string | null): string {
  const full = base === null ? new URL(url) : new URL(url, base);
  full.protocol = full.protocol.replace(/^http/, "ws");
  full.pathname = `${full.pathname.replace(/\/+$/, "")}/ws`;
  full.hash = "";
  return full.href;
}

/** Dial. Throws nothing: what cannot be dialled is lost. */
export function openWebSocket(
  Socket: SocketConstructor | undefined,
  address: () => string,
  events: LinkEvents,
): Link {
  let over = false;
  const end = (code: number | null): void => {
    if (over) return;
    over = true;
    events.lost(code);
  };
  try {
    if (Socket === undefined) throw new TypeError("there is no WebSocket here");
    return listen(new Socket(address()), events, end, () => {
      over = true;
    });
  } catch {
    queueMicrotask(() => end(null)); // never before the caller has its link
    return { send: () => {}, drop: () => (over = true) };
  }
}

function listen(
  socket: InstanceType<SocketConstructor>,
  events: LinkEvents,
  end: (code: number | null) => void,
  forget: () => void,
): Link {
  const detach = (): void => {
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {}; // a socket of Node's `ws` that nobody listens to throws
  };
  socket.onopen = () => events.open();
  socket.onmessage = (event: { data?: unknown }) => events.frame(parse(event.data));
  socket.onerror = () => {}; // `close` follows, with what can be known
  socket.onclose = (event: { code?: number }) => {
    detach();
    end(event.code ?? null);
  };
  return {
    send: (frame) => socket.send(JSON.stringify(frame)),
    drop(code) {
      forget();
      detach();
      try {
        socket.close(allowed(code));
      } catch {
        // Already closing: it is forgotten either way.
      }
    },
  };
}

/** A page may close with 1000 and 3000 to 4999 only. */
function allowed(code: number): number {
  return code >= 3000 ? code : 1000;
}

function parse(data: unknown): RawFrame | null {
  if (typeof data !== "string") return null;
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as RawFrame)
      : null;
  } catch {
    return null;
  }
}
