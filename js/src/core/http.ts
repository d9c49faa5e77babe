/** What the client adds to the application's own HTTP: the trace of a request, and the cursors of a response. */

import { parseCursor } from "./cursor.js";
import type { Environment } from "./environment.js";
import type { Mutation } from "./types.js";

const HEADER = "Tidings-Cursor";

/** Cursors by topic, from `topic=cursor, topic=cursor`; what cannot be read is left out. */
export function parseCursors(header: string | null): Readonly<Record<string, string>> {
  const pairs: [string, string][] = [];
  for (const part of header?.split(",") ?? []) {
    const at = part.lastIndexOf("=");
    const topic = part.slice(0, Math.max(0, at)).trim();
    const cursor = part.slice(at + 1).trim();
    if (topic !== "" && parseCursor(cursor) !== null) pairs.push([topic, cursor]);
  }
  return Object.freeze(Object.fromEntries(pairs));
}

/** A new W3C trace. */
export function newTrace(environment: Environment): Mutation {
  const traceId = environment.randomHex(16);
  const traceparent = `00-${traceId}-${environment.randomHex(8)}-01`;
  return Object.freeze({ traceId, headers: Object.freeze({ traceparent }) });
}

/** The application's requests, with a trace, and with the cursors of each response kept by its signal. */
export class Http {
  readonly #environment: Environment;
  readonly #url: string;
  readonly #bySignal = new WeakMap<AbortSignal, Readonly<Record<string, string>>>();

  readonly #answered: () => void;

  /** `answered` is called for each response that the application can use. */
  constructor(environment: Environment, url: string, answered: () => void) {
    this.#answered = answered;
    this.#environment = environment;
    this.#url = url;
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const { fetch } = this.#environment;
    const signal = init?.signal ?? (isRequest(input) ? input.signal : null);
    const response = await (this.#isOurs(input)
      ? fetch(input, { ...init, headers: this.#traced(input, init) })
      : fetch(input, init));
    this.#file(response, signal);
    if (response.ok) this.#answered();
    return response;
  };

  note(
    response: { readonly headers: { get(name: string): string | null } },
    signal?: AbortSignal | null,
  ): Readonly<Record<string, string>> {
    this.#answered();
    return this.#file(response, signal);
  }

  #file(
    response: { readonly headers: { get(name: string): string | null } },
    signal?: AbortSignal | null,
  ): Readonly<Record<string, string>> {
    const cursors = parseCursors(response.headers.get(HEADER));
    if (signal && Object.keys(cursors).length > 0) {
      // Several requests under one signal are one piece of data: of each topic the first cursor is the safe one.
      this.#bySignal.set(signal, { ...cursors, ...this.#bySignal.get(signal) });
    }
    return cursors;
  }

  cursorsOf(signal: AbortSignal): Readonly<Record<string, string>> | null {
    return this.#bySignal.get(signal) ?? null;
  }

  #traced(input: RequestInfo | URL, init: RequestInit | undefined): Headers {
    const headers = new Headers(init?.headers ?? (isRequest(input) ? input.headers : undefined));
    if (!headers.has("traceparent")) {
      headers.set("traceparent", newTrace(this.#environment).headers.traceparent);
    }
    return headers;
  }

  /** The page's own origin and that of the server: elsewhere a header would cost a CORS request. */
  #isOurs(input: RequestInfo | URL): boolean {
    const { base } = this.#environment;
    try {
      const origin = (url: string): string =>
        (base === null ? new URL(url) : new URL(url, base)).origin.replace(/^ws/, "http");
      const to = origin(isRequest(input) ? input.url : String(input));
      return to === origin(this.#url) || (base !== null && to === origin(base));
    } catch {
      return false;
    }
  }
}

function isRequest(input: RequestInfo | URL): input is Request {
  return typeof input === "object" && "headers" in input;
}
