/** What Express (4 and 5), Connect and `node:http` have in common. */
import type { IncomingMessage, ServerResponse } from "node:http";

export type Next = (error?: unknown) => void;

export type Middleware<Request extends IncomingMessage = IncomingMessage> = (
  request: Request,
  response: ServerResponse,
  next: Next,
) => void;
