/** What Express (4 and 5), Connect and `node:http` have in common. */
import type { IncomingMessage, ServerResponse } from "node:http";

export type Next = (error?: unknown) => void;

/** A request of Express as a route's own function sees it, where nothing more exact is named. */
export interface RoutedRequest extends IncomingMessage {
  // biome-ignore lint/suspicious/noExplicitAny: what a route's parameters are, its path says.
  readonly params: { readonly [name: string]: any };
}

export type Middleware<Request extends IncomingMessage = IncomingMessage> = (
  request: Request,
  response: ServerResponse,
  next: Next,
) => void;
