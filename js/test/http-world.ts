/** A server over HTTP that a test speaks for: it holds each request until the test answers. */

import type { ClientFrame } from "../src/core/frames.js";

type Frame = Record<string, unknown>;

interface Settle {
  resolve: (response: Response) => void;
  reject: (cause: unknown) => void;
}

export class HeldRequest {
  readonly path: string;
  readonly query: string;
  readonly headers: Headers;
  readonly body: Frame;
  readonly credentials: string | undefined;
  readonly response: Promise<Response>;
  aborted = false;
  #settle: Settle = { resolve: () => {}, reject: () => {} };
  #stream: ReadableStreamDefaultController<Uint8Array> | null = null;

  constructor(url: string, init: RequestInit) {
    const { pathname, search } = new URL(url);
    this.path = pathname;
    this.query = search;
    this.headers = new Headers(init.headers);
    this.body = JSON.parse(String(init.body)) as Frame;
    this.credentials = init.credentials;
    this.response = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    init.signal?.addEventListener("abort", () => {
      this.aborted = true;
      const cause = new DOMException("aborted", "AbortError");
      this.#settle.reject(cause);
      this.#stream?.error(cause);
    });
  }

  answer(status: number, body: unknown = {}, headers: Record<string, string> = {}): void {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    this.#settle.resolve(new Response(text, { status, headers }));
  }

  /** The network breaks before the answer. */
  fail(): void {
    this.#settle.reject(new TypeError("fetch failed"));
  }

  /** Answer with a stream that stays open. */
  stream(type = "text/event-stream"): void {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#stream = controller;
      },
    });
    this.#settle.resolve(new Response(body, { headers: { "Content-Type": type } }));
  }

  write(text: string): void {
    this.writeBytes(new TextEncoder().encode(text));
  }

  writeBytes(bytes: Uint8Array): void {
    this.#stream?.enqueue(bytes);
  }

  say(frame: Frame): void {
    this.write(`data: ${JSON.stringify(frame)}\n\n`);
  }

  end(): void {
    this.#stream?.close();
  }
}

export class HttpWorld {
  readonly requests: HeldRequest[] = [];

  readonly fetch = ((input: RequestInfo | URL, init: RequestInit = {}) => {
    const request = new HeldRequest(String(input), init);
    this.requests.push(request);
    return request.response;
  }) as typeof fetch;

  /** The requests that are not over, by the end of their path. */
  open(path: string): HeldRequest[] {
    return this.requests.filter((one) => one.path.endsWith(path) && !one.aborted);
  }

  last(path: string): HeldRequest {
    const found = this.requests.filter((one) => one.path.endsWith(path)).at(-1);
    if (found === undefined) throw new Error(`nothing was asked of ${path}`);
    return found;
  }
}

export const WELCOME = {
  type: "welcome",
  topic: "system",
  protocol: 1,
  session: "s-1",
  heartbeat_seconds: 25,
  expires_in_seconds: null,
  limits: { topics_per_frame: 100 },
};

export function subscribe(topics: string[], since?: Record<string, string>, id = 1): ClientFrame {
  return { type: "subscribe", topics, ...(since === undefined ? {} : { since }), id };
}

export function event(topic: string, cursor: string): Frame {
  const data = { entity_id: "g-7", payload: null, timestamp: "2026-11-23T15:00:00.000Z" };
  return { topic, event: "UPDATED", data, cursor };
}
