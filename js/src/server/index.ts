/** For back ends on Node: publish to `tidings serve`, make tokens, answer what it asks. */
export type {
  Authorizer,
  AuthorizerOptions,
  Credentials,
  Identity,
  Known,
  SessionEvent,
} from "./authorizer.js";
export { authorizer, matchTopic } from "./authorizer.js";
export type { CursorOptions, Shown } from "./cursor.js";
export { setCursors, tidingsCursor } from "./cursor.js";
export { PublishError, Refused, Unreachable, UsageError } from "./faults.js";
export type { Middleware, Next, RoutedRequest } from "./middleware.js";
export type { Outgoing, PublishOptions } from "./outgoing.js";
export type { Member, TidingsServerOptions, TokenOptions } from "./server.js";
export { TidingsServer } from "./server.js";
export { verifySignature } from "./signature.js";
export type { Claims } from "./token.js";
export { mintToken } from "./token.js";
export { currentTraceId, parseTraceparent, tidingsTrace, withTrace } from "./trace.js";
