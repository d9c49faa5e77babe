/** What is sent and what an answer means, without I/O; the twin of the Python publisher's rules. */
import { Refused, UsageError } from "./faults.js";
import type { Encoded } from "./outgoing.js";

export interface ServerRequest {
  readonly method: "GET" | "POST";
  /** What stands after the prefix. */
  readonly name: string;
  readonly body?: string;
  readonly query?: string;
  /** Of the events in it. */
  readonly idempotencyKeys?: readonly string[];
}

/** The answer asks for a repeat, after the server's own wish, if it has one. */
export interface Again {
  readonly again: true;
  readonly why: string;
  readonly ms: number | null;
}

export type Fields = Readonly<Record<string, unknown>>;

const RETRY_STATUS: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);
const FIRST_PAUSE_MS = 100;
const PAUSE_MS_MAX = 2_000;
const REQUEST_EVENTS_MAX = 500; // in one request: together they are checked before the first is stored
const REQUEST_BYTES_MAX = 512 * 1024;

/** `https://live.example.com` with its prefix, and without a slash at the end. Throws UsageError. */
export function addressOf(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new UsageError(
      `${JSON.stringify(url)} is not an address; write https://live.example.com`,
    );
  }
  const scheme = { "http:": "http:", "https:": "https:", "ws:": "http:", "wss:": "https:" }[
    parsed.protocol
  ];
  if (scheme === undefined || parsed.username !== "") {
    throw new UsageError(`${JSON.stringify(url)} must be http or https, and name no user`);
  }
  const path = parsed.pathname.replace(/\/+$/, "").replace(/\/ws$/, "");
  return `${scheme}//${parsed.host}${path || "/realtime"}`;
}

/** As few requests as the server's bounds allow, in order. */
export function publishing(events: readonly Encoded[]): ServerRequest[] {
  const batches: Encoded[][] = [];
  let size = 0;
  for (const event of events) {
    const last = batches.at(-1);
    const fits =
      last && last.length < REQUEST_EVENTS_MAX && size + event.bytes <= REQUEST_BYTES_MAX;
    if (last && fits) last.push(event);
    else batches.push([event]);
    size = (fits ? size : 0) + event.bytes + 1;
  }
  return batches.map((batch) => ({
    method: "POST",
    name: "publish",
    body: `[${batch.map(({ json }) => json).join(",")}]`,
    idempotencyKeys: batch.map(({ idempotencyKey }) => idempotencyKey),
  }));
}

/** The answer's fields, or that it should be asked for again. Throws Refused. */
export function read(status: number, retryAfter: string | null, body: string): Fields | Again {
  let answer: unknown = null;
  try {
    answer = JSON.parse(body);
  } catch {
    // What is no JSON is judged by its status.
  }
  if (status === 200 && isFields(answer)) return answer;
  const error = isFields(answer) && isFields(answer.error) ? answer.error : {};
  const known = typeof error.code === "string";
  const code = known ? String(error.code) : `http_${status}`;
  const message = known ? String(error.message ?? "") : "is this a Tidings server?";
  if (!RETRY_STATUS.has(status)) throw new Refused(code, message);
  const ms =
    retryAfter !== null && /^\d+$/.test(retryAfter.trim()) ? Number(retryAfter) * 1_000 : null;
  return { again: true, why: `${code}: ${message}`, ms };
}

/** How long to wait before the attempt after this one, counted from 0; half of it is chance. */
export function pauseMs(attempt: number, chance: number, wish: number | null): number {
  const pause = Math.min(PAUSE_MS_MAX, FIRST_PAUSE_MS * 2 ** attempt) * (0.5 + 0.5 * chance);
  return wish === null ? pause : Math.max(pause, wish);
}

export function isAgain(answer: Fields | Again): answer is Again {
  return answer.again === true;
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
