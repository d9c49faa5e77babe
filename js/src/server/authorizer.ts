/** Your back end's answers to `tidings serve`: who somebody is, and what they may do. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { UsageError } from "./faults.js";
import { type Fields, isFields } from "./requests.js";
import { SIGNATURE_HEADER, verifySignature } from "./signature.js";

/** What a client showed. Of the headers there are cookie, authorization, user-agent and a few more. */
export interface Credentials {
  readonly token: string;
  readonly source: "query" | "message" | "cookie" | "header";
  readonly client_address: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** Who somebody is; `claims` come back in each later question about them. */
export interface Identity {
  readonly user: string;
  readonly tenant?: string | null;
  readonly claims?: Readonly<Record<string, unknown>>;
}

export interface Known extends Identity {
  /** When the credentials end; without it, never. */
  readonly expiresInSeconds?: number;
}

export interface SessionEvent {
  readonly event: "connected" | "subscribed" | "unsubscribed" | "disconnected";
  readonly session: string;
  readonly user: string;
  readonly tenant: string | null;
  readonly topic?: string;
  readonly time: string;
}

type Answer<T> = T | Promise<T>;

export interface AuthorizerOptions {
  /** The server's `TIDINGS_WEBHOOK_SECRET`; several while it is being changed. */
  readonly secret: string | readonly string[];
  /** Who shows these credentials; null refuses them. */
  readonly connect?: (credentials: Credentials) => Answer<Known | null>;
  readonly subscribe?: (identity: Identity, topic: string) => Answer<boolean>;
  readonly publish?: (identity: Identity, topic: string) => Answer<boolean>;
  /** Sessions came and went; the same batch may come twice. `dropped`: how many more there were, which nobody tells. */
  readonly events?: (events: readonly SessionEvent[], dropped: number) => Answer<void>;
  /** How long the server may use an answer again, an hour at most; 0 by default: each question is asked. */
  readonly ttlSeconds?: number;
  /** One of these functions has thrown, and what it was asked is refused for now; `console.error` by default. */
  readonly onError?: (error: unknown) => void;
}

/** A handler for Express, Connect or `node:http`; `fetch` is the same for frameworks of the web's own kind. */
export interface Authorizer {
  (request: IncomingMessage, response: ServerResponse): void;
  fetch(request: Request): Promise<Response>;
}

interface Reply {
  readonly status: number;
  readonly body: object;
}

const SECRET_BYTES_MIN = 32;
const CALL_BYTES_MAX = 1_048_576;
const BAD_SIGNATURE =
  "The signature is wrong or old: is the secret that of TIDINGS_WEBHOOK_SECRET, and the clock right?";

/**
 * `app.post("/tidings", authorizer({secret, subscribe}))`. It reads the body by itself: stand it before
 * `express.json()`. Throws UsageError for a secret that is too short.
 */
export function authorizer(options: AuthorizerOptions): Authorizer {
  const secrets = [options.secret].flat();
  if (secrets.length === 0 || secrets.some((one) => Buffer.byteLength(one) < SECRET_BYTES_MIN)) {
    throw new UsageError(
      `secret must have ${SECRET_BYTES_MIN} bytes or more, as TIDINGS_WEBHOOK_SECRET`,
    );
  }
  const asked: Asked = { onError: logged, ...options };
  const handler = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const signature = request.headers[SIGNATURE_HEADER];
    const shown = typeof signature === "string" ? signature : null;
    const { status, body } = await reply(asked, () => bodyOf(request), shown);
    response.statusCode = status;
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify(body));
  };
  return Object.assign(
    (request: IncomingMessage, response: ServerResponse) => void handler(request, response),
    {
      async fetch(request: Request): Promise<Response> {
        const read = async () => Buffer.from(await request.arrayBuffer());
        const { status, body } = await reply(asked, read, request.headers.get(SIGNATURE_HEADER));
        return Response.json(body, { status });
      },
    },
  );
}

type Asked = AuthorizerOptions & Required<Pick<AuthorizerOptions, "onError">>;

async function reply(
  options: Asked,
  read: () => Promise<Buffer>,
  signature: string | null,
): Promise<Reply> {
  try {
    const body = await read();
    if (!verifySignature(options.secret, body, signature))
      return refusal(400, "bad_signature", BAD_SIGNATURE);
    const call: unknown = JSON.parse(body.toString("utf8"));
    if (!isFields(call) || typeof call.type !== "string") {
      return refusal(400, "bad_call", "This is no call.");
    }
    const answer = await ANSWERS.get(call.type)?.(options, call);
    if (answer !== undefined) return { status: 200, body: answer };
    const advice = `This back end does not answer ${call.type}: give authorizer() such a function, or leave it out of TIDINGS_WEBHOOK_CALLS.`;
    return refusal(501, "not_answered", advice);
  } catch (error) {
    options.onError(error);
    return refusal(500, "internal", "The back end failed at this call, and has been told why.");
  }
}

type AnswerTo = (options: Asked, call: Fields) => Promise<object | undefined>;

const ANSWERS: ReadonlyMap<string, AnswerTo> = new Map<string, AnswerTo>([
  [
    "connect",
    async ({ connect, ttlSeconds: ttl_seconds }, call) => {
      if (connect === undefined) return undefined;
      const known = await connect(call.credentials as Credentials);
      if (!known) return { identity: null };
      const { user, tenant, claims, expiresInSeconds: expires_in_seconds } = known;
      return { identity: { user, tenant, claims, expires_in_seconds }, ttl_seconds };
    },
  ],
  ["subscribe", (options, call) => allowed(options, options.subscribe, call)],
  ["publish", (options, call) => allowed(options, options.publish, call)],
  [
    "events",
    async ({ events }, call) => {
      await events?.(call.events as SessionEvent[], Number(call.dropped));
      return events && {};
    },
  ],
]);

/** Each topic by itself: a rule that fails for one says nothing of the others. */
async function allowed(
  { ttlSeconds: ttl_seconds, onError }: Asked,
  rule: AuthorizerOptions["subscribe"],
  call: Fields,
): Promise<object | undefined> {
  if (rule === undefined) return undefined;
  const answer = { allowed: [] as string[], failed: [] as string[], ttl_seconds };
  const one = async (topic: string): Promise<void> => {
    try {
      // Only true is a yes: a rule that forgets to return grants nothing.
      if ((await rule(call.identity as Identity, topic)) === true) answer.allowed.push(topic);
    } catch (error) {
      onError(error);
      answer.failed.push(topic);
    }
  };
  await Promise.all((call.topics as string[]).map(one));
  return answer;
}

function logged(error: unknown): void {
  // biome-ignore lint/suspicious/noConsole: where nothing else is given, an error must not be lost.
  console.error("[tidings] authorizer:", error);
}

function refusal(status: number, code: string, message: string): Reply {
  return { status, body: { error: { code, message } } };
}

async function bodyOf(
  request: IncomingMessage & { rawBody?: unknown; body?: unknown },
): Promise<Buffer> {
  if (Buffer.isBuffer(request.rawBody)) return request.rawBody;
  if (Buffer.isBuffer(request.body)) return request.body;
  if (request.readableEnded) {
    throw new UsageError(
      "the body has been read already: mount authorizer() before express.json()",
    );
  }
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    parts.push(part as Buffer);
    size += (part as Buffer).length;
    if (size > CALL_BYTES_MAX) throw new UsageError(`a call has more than ${CALL_BYTES_MAX} bytes`);
  }
  return Buffer.concat(parts);
}

/** The named parts of a topic, or null where it is another: `matchTopic("gift-list:{id}", "gift-list:7")` is `{id: "7"}`. */
export function matchTopic<P extends string>(
  pattern: P,
  topic: string,
): { [name in Names<P>]: string } | null {
  const wanted = pattern.split(":");
  const given = topic.split(":");
  if (wanted.length !== given.length) return null;
  const found: Record<string, string> = {};
  for (const [place, part] of wanted.entries()) {
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    const value = given[place] ?? "";
    if (name === undefined ? part !== value : value === "*") return null; // a wildcard is no identifier
    if (name !== undefined) found[name] = value;
  }
  return found as { [name in Names<P>]: string };
}

type Names<P extends string> = P extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Names<Rest>
  : never;
