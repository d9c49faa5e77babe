/** The header `Tidings-Cursor`, set before a route's query begins, so that the page misses nothing after it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Unreachable } from "./faults.js";
import type { Middleware, RoutedRequest } from "./middleware.js";
import type { TidingsServer } from "./server.js";

const CURSOR_HEADER = "Tidings-Cursor";
const EXPOSE_HEADER = "Access-Control-Expose-Headers";
const TIMEOUT_MS = 2_000;

/** Topics that a response shows, and the tenant whose they are. */
export type Shown =
  | readonly string[]
  | { readonly topics: readonly string[]; readonly tenant?: string | undefined };

export interface CursorOptions {
  /** 2,000 by default: a page should not wait long for the live part. */
  readonly timeoutMs?: number;
  /** The live server is away, so the response has no cursors, and the page reads again once it is live. */
  readonly onUnreachable?: (error: Unreachable) => void;
}

/**
 * Express middleware for a route that reads: asks where its topics stand, then lets the route run.
 *
 *     app.get("/api/lists/:id", tidingsCursor(live, (request) => [`gift-list:${request.params.id}`]), readList)
 */
export function tidingsCursor<Request extends IncomingMessage = RoutedRequest>(
  server: TidingsServer,
  shown: (request: Request) => Shown | Promise<Shown>,
  options: CursorOptions = {},
): Middleware<Request> {
  return (request, response, next) => {
    addCursors(server, shown, options, request, response).then(() => next(), next);
  };
}

async function addCursors<Request extends IncomingMessage>(
  server: TidingsServer,
  shown: (request: Request) => Shown | Promise<Shown>,
  { timeoutMs = TIMEOUT_MS, onUnreachable }: CursorOptions,
  request: Request,
  response: ServerResponse,
): Promise<void> {
  const given = await shown(request);
  const { topics, tenant } = "topics" in given ? given : { topics: given, tenant: undefined };
  try {
    setCursors(response, await server.cursorHeader(topics, { tenant, timeoutMs }));
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    onUnreachable?.(error);
  }
}

/** Put the value of `cursorHeader` on a response, behind what it has, and let pages of other origins read it. */
export function setCursors(response: ServerResponse, cursors: string): void {
  if (cursors === "") return;
  append(response, CURSOR_HEADER, cursors);
  const exposed = String(response.getHeader(EXPOSE_HEADER) ?? "").toLowerCase();
  const names = exposed.split(",").map((name) => name.trim());
  if (!names.includes(CURSOR_HEADER.toLowerCase())) append(response, EXPOSE_HEADER, CURSOR_HEADER);
}

function append(response: ServerResponse, name: string, value: string): void {
  const before = response.getHeader(name);
  response.setHeader(name, before ? `${before}, ${value}` : value);
}
