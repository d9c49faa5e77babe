/** Requests of the transports over HTTP, and what a status means: the same as a close code. */

import type { ClientFrame } from "../frames.js";
import type { RawFrame } from "../machine/values.js";
import type { HttpDial } from "./later.js";

/** A sign of life that is not a frame of the server's. */
export const SIGN_OF_LIFE: RawFrame = { type: "pong", topic: "system" };

/** Why a request was not accepted: the close code of a WebSocket in its place, and how long to wait. */
export interface Refusal {
  /** Null where it was not the server itself that answered: then another transport may do better. */
  readonly closeCode: number | null;
  readonly code: string;
  readonly message: string | null;
  readonly retryAfterMs: number | null;
}

/** `https://host/realtime/<path>` from the address that the application gives. Throws for what is none. */
export function httpUrl(url: string, base: string | null, path: string): string {
  const full = base === null ? new URL(url) : new URL(url, base);
  full.protocol = full.protocol.replace(/^ws/, "http");
  const [name = "", query] = path.split("?");
  full.pathname = `${full.pathname.replace(/\/+$/, "")}/${name}`;
  if (query !== undefined) full.search = full.search === "" ? query : `${full.search}&${query}`;
  full.hash = "";
  return full.href;
}

/** POST JSON. Rejects where there is no answer, and when it is aborted. */
export async function post(
  { environment, url }: HttpDial,
  path: string,
  body: ClientFrame | object,
  token: string | null,
  signal: AbortSignal,
): Promise<Response> {
  const address = httpUrl(url, environment.base, path);
  return environment.fetch(address, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
    // A cookie counts where there is no token, as it does on WebSocket.
    credentials: token === null ? "include" : "same-origin",
    cache: "no-store",
    signal,
  });
}

/** What a response that is not 2xx says. */
export async function refusalOf(response: Response): Promise<Refusal> {
  const error = errorOf(await response.json().catch(() => null));
  const retryAfterMs = secondsToMs(response.headers.get("Retry-After"));
  // A proxy has statuses of its own; only what the server itself says is about this client.
  const ours = error !== null || retryAfterMs !== null;
  return {
    closeCode: closeCodeOf(response.status, ours),
    code: error?.code ?? "unavailable",
    message: error?.message ?? null,
    retryAfterMs,
  };
}

function closeCodeOf(status: number, ours: boolean): number | null {
  if (status === 401) return 4401;
  if (!ours) return null;
  if (status === 403) return 4403;
  if (status === 429) return 4429;
  return status === 503 ? 4503 : null;
}

/** The frame that tells the machine why, and how long to wait. */
export function errorFrame(
  { code, message, retryAfterMs }: Refusal,
  id?: ClientFrame["id"],
): RawFrame {
  return {
    type: "error",
    topic: "system",
    code,
    ...(message === null ? {} : { message }),
    ...(retryAfterMs === null ? {} : { retry_after_ms: retryAfterMs }),
    ...(id === undefined ? {} : { id }),
  };
}

function errorOf(body: unknown): { code: string; message: string | null } | null {
  if (!isObject(body) || !isObject(body.error)) return null;
  const { code, message } = body.error;
  if (typeof code !== "string") return null;
  return { code, message: typeof message === "string" ? message : null };
}

function secondsToMs(header: string | null): number | null {
  const seconds = header === null || header.trim() === "" ? Number.NaN : Number(header);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : null;
}

export function isObject(value: unknown): value is RawFrame {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function parseObject(text: string): RawFrame | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
