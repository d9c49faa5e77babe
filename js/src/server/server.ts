/** A back end's side of Tidings: publish, positions, tokens, over HTTP to `tidings serve`. */
import type { Cursor } from "../core/cursor.js";
import type { EventName } from "../core/event.js";
import { Unreachable, UsageError } from "./faults.js";
import { encode, type Outgoing, type PublishOptions } from "./outgoing.js";
import {
  type Again,
  addressOf,
  type Fields,
  isAgain,
  pauseMs,
  publishing,
  read,
  type ServerRequest,
} from "./requests.js";

const ATTEMPT_MS = 5_000;

export interface TidingsServerOptions {
  /** Such as `http://127.0.0.1:8000`; with the prefix where that is not `/realtime`. */
  readonly url: string;
  /** One of the server's API keys. It belongs to your back end, and never to a page. */
  readonly key: string;
  /** For a call in all, however often it is tried: 10,000 by default. */
  readonly timeoutMs?: number;
  readonly fetch?: typeof fetch;
}

export interface TokenOptions {
  readonly tenant?: string;
  /** Topic patterns that the token itself grants. */
  readonly subscribe?: readonly string[];
  readonly publish?: readonly string[];
  /** 3,600 by default, 30 days at most. */
  readonly ttlSeconds?: number;
}

/** Somebody who is present on a topic. */
export interface Member {
  readonly session: string;
  readonly user: string;
  readonly state: unknown;
}

/** One object serves the whole process; connections are kept by Node's own `fetch`. */
export class TidingsServer {
  readonly #address: string;
  readonly #key: string;
  readonly #timeoutMs: number;
  readonly #fetch: typeof fetch;

  /** Throws UsageError for no address, or no key. */
  constructor(options: TidingsServerOptions) {
    if (!/^[\x21-\x7e]+$/.test(options.key ?? "")) {
      throw new UsageError(
        "key must be an API key of the server: printable ASCII, as in --api-key",
      );
    }
    this.#address = addressOf(options.url);
    this.#key = options.key;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#fetch = options.fetch ?? fetch;
  }

  /**
   * Tell every subscriber of the topic, and answer the event's cursor; call it when your transaction is committed.
   * Throws PublishError, Refused or Unreachable.
   */
  async publish(topic: string, event: EventName, options: PublishOptions): Promise<Cursor> {
    const [cursor] = await this.publishMany([{ ...options, topic, event }]);
    return cursor as Cursor;
  }

  /** Publish several in their order, up to 500 in a request; their cursors. All are checked before one is sent. */
  async publishMany(events: Iterable<Outgoing>): Promise<Cursor[]> {
    const cursors: Cursor[] = [];
    for (const request of publishing(Array.from(events, encode))) {
      const { published } = (await this.#ask(request)) as { published: { cursor: Cursor }[] };
      cursors.push(...published.map(({ cursor }) => cursor));
    }
    return cursors;
  }

  /** Where topics stand, 100 of them at most: read it before your query begins. */
  async cursors(
    topics: readonly string[],
    {
      tenant,
      timeoutMs,
    }: { readonly tenant?: string | undefined; readonly timeoutMs?: number } = {},
  ): Promise<Record<string, Cursor>> {
    if (topics.length === 0) return {};
    const query = queryOf([...topics.map((topic) => ["topic", topic] as const)], tenant);
    const answer = await this.#ask({ method: "GET", name: "cursor", query }, timeoutMs);
    return answer.cursors as Record<string, Cursor>;
  }

  /** The value of the header `Tidings-Cursor` for a response that shows these topics. */
  async cursorHeader(
    topics: readonly string[],
    options: { readonly tenant?: string | undefined; readonly timeoutMs?: number } = {},
  ): Promise<string> {
    const cursors = await this.cursors(topics, options);
    return Object.entries(cursors)
      .map(([topic, cursor]) => `${topic}=${cursor}`)
      .join(", ");
  }

  /** A token for the page of a user who is signed in with you. See `mintToken`, which needs no request. */
  async token(user: string, options: TokenOptions = {}): Promise<string> {
    const { tenant, subscribe, publish, ttlSeconds } = options;
    const claims = { user, tenant, subscribe, publish, ttl_seconds: ttlSeconds };
    return String((await this.#post("token", claims)).token);
  }

  /** End a user's connections, as at a log-out, or one session's; how many the server that answered had. */
  async disconnect(whom: { user?: string; tenant?: string; session?: string }): Promise<number> {
    return Number((await this.#post("disconnect", whom)).disconnected);
  }

  /** Who is present on a topic; several connections of a user are several of them. */
  async members(topic: string, { tenant }: { readonly tenant?: string } = {}): Promise<Member[]> {
    const query = queryOf([["topic", topic]], tenant);
    return (await this.#ask({ method: "GET", name: "presence", query })).members as Member[];
  }

  #post(name: string, fields: Fields): Promise<Fields> {
    return this.#ask({ method: "POST", name, body: JSON.stringify(fields) });
  }

  async #ask(request: ServerRequest, timeoutMs: number = this.#timeoutMs): Promise<Fields> {
    const deadline = performance.now() + timeoutMs;
    for (let attempt = 0; ; attempt += 1) {
      const leftMs = Math.max(100, deadline - performance.now());
      const answer = await this.#attempt(request, Math.min(ATTEMPT_MS, leftMs));
      if (!isAgain(answer)) return answer;
      const pause = pauseMs(attempt, Math.random(), answer.ms);
      if (performance.now() + pause >= deadline) {
        throw new Unreachable(answer.why, request.idempotencyKeys);
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async #attempt(
    { method, name, body, query }: ServerRequest,
    ms: number,
  ): Promise<Fields | Again> {
    const url = `${this.#address}/${name}${query ? `?${query}` : ""}`;
    const headers: Record<string, string> = { Authorization: `Bearer ${this.#key}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let status: number;
    let retryAfter: string | null;
    let text: string;
    try {
      const signal = AbortSignal.timeout(Math.ceil(ms));
      // A key is for one server: a redirect is not followed.
      const init: RequestInit = { method, headers, signal, redirect: "error" };
      if (body !== undefined) init.body = body;
      const response = await this.#fetch(url, init);
      ({ status } = response);
      retryAfter = response.headers.get("Retry-After");
      text = await response.text();
    } catch (error) {
      return { again: true, why: reasonOf(error), ms: null };
    }
    return read(status, retryAfter, text);
  }
}

function queryOf(pairs: (readonly [string, string])[], tenant: string | undefined): string {
  const all = tenant === undefined ? pairs : [...pairs, ["tenant", tenant] as const];
  return new URLSearchParams(all.map(([name, value]) => [name, value])).toString();
}

/** `fetch` says "fetch failed", and keeps the reason in the cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  const code = "code" in cause && typeof cause.code === "string" ? `${cause.code} ` : "";
  return `${code}${cause.message}`.trim() || cause.name;
}
