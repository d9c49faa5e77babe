/**
 * The trace of the request that is being served (W3C Trace Context). It goes on the events that the request causes,
 * and so the page that sent it knows its own change when the event comes back.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Middleware } from "./middleware.js";

const storage = new AsyncLocalStorage<string | null>();
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;

/** The trace id in a header `traceparent`, read as strictly as the rule asks; null for anything else. */
export function parseTraceparent(header: string | null | undefined): string | null {
  const found = TRACEPARENT.exec((header ?? "").trim());
  if (found === null) return null;
  const [, version, traceId = "", parentId = "", more] = found;
  if (version === "ff" || (version === "00" && more !== undefined)) return null;
  return /^0+$/.test(traceId) || /^0+$/.test(parentId) ? null : traceId;
}

/** The trace id of the request that is being served, or null. */
export function currentTraceId(): string | null {
  return storage.getStore() ?? null;
}

/** Run `work`, and what it awaits, under the trace of a header `traceparent`: for frameworks other than Express. */
export function withTrace<T>(traceparent: string | null | undefined, work: () => T): T {
  return storage.run(parseTraceparent(traceparent), work);
}

/** Express middleware, early in the list: events that a request publishes carry its trace. */
export function tidingsTrace(): Middleware {
  return (request, _response, next) => {
    const header = request.headers.traceparent;
    // Several headers are none, and Node joins them by a comma, which is none either.
    withTrace(typeof header === "string" ? header : null, next);
  };
}
