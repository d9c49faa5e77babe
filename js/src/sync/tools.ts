/** What the application's request takes along, so that its change is known again everywhere. */

import type { Live, Mutation } from "../core/types.js";
import { ConflictError } from "./conflict.js";

/** What a change needs to be known again: use `fetch`, or send `headers` yourself. */
export interface ChangeTools {
  readonly traceId: string;
  readonly headers: {
    readonly traceparent: string;
    /** The same with each try of a change that waits in a queue, so that the server makes it once. */
    readonly "Idempotency-Key"?: string;
    readonly "If-Match"?: string;
  };
  /** `fetch` with these headers. A 412 to an `If-Match` is thrown as a `ConflictError`. */
  readonly fetch: typeof fetch;
}

/** How one try went, as far as `fetch` of the tools saw it. */
export interface Seen {
  /** No answer, or one that says to try again later. */
  isUnreachable: boolean;
  /** The revision that the change has made, as the server's `ETag` says. */
  etag: string | null;
}

/** Answers that say nothing about the change: request timeout, too early, too many, and gateways. */
const LATER: ReadonlySet<number> = new Set([408, 425, 429, 502, 503, 504]);

export function makeTools(
  live: Live,
  { traceId, headers: { traceparent } }: Mutation,
  idempotencyKey: string | null,
  ifMatch: string | null,
): { tools: ChangeTools; seen: Seen } {
  const seen: Seen = { isUnreachable: false, etag: null };
  const headers = {
    traceparent,
    ...(idempotencyKey === null ? {} : { "Idempotency-Key": idempotencyKey }),
    ...(ifMatch === null ? {} : { "If-Match": ifMatch }),
  };
  const tools: ChangeTools = {
    traceId,
    headers,
    async fetch(input, init) {
      const own = typeof input === "object" && "headers" in input ? input.headers : undefined;
      const sent = new Headers(init?.headers ?? own);
      for (const [name, value] of Object.entries(headers)) {
        if (name === "traceparent" || !sent.has(name)) sent.set(name, value);
      }
      seen.isUnreachable = true;
      const response = await live.fetch(input, { ...init, headers: sent });
      seen.isUnreachable = LATER.has(response.status);
      seen.etag = response.headers.get("ETag") ?? seen.etag;
      if (response.status === 412 && sent.has("If-Match")) throw new ConflictError(response);
      return response;
    },
  };
  return { tools, seen };
}

/** A revision as `If-Match` has it. */
export function entityTag(revision: number | bigint | string | null | undefined): string | null {
  if (revision === null || revision === undefined) return null;
  const text = String(revision);
  return /^(W\/)?".*"$/.test(text) ? text : `"${text}"`;
}
