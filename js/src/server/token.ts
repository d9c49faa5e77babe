/** Tokens for pages, made without a request: JSON Web Tokens (RFC 7519) that `tidings serve` of the same secret takes. */
import { createHmac } from "node:crypto";
import { UsageError } from "./faults.js";
import type { TokenOptions } from "./server.js";

const SECRET_BYTES_MIN = 32; // RFC 7518, 3.2: a key of the hash's size or larger
const USER_LENGTH_MAX = 128;
const PATTERNS_MAX = 256;
const TTL_SECONDS = 3_600;

export interface Claims extends TokenOptions {
  readonly user: string;
  readonly audience?: string;
  readonly issuer?: string;
  /** When it is made; for tests. */
  readonly now?: Date;
}

/** A token by HS256. Throws UsageError for what the server would refuse: a short secret, no user, no time to live. */
export function mintToken(secret: string, claims: Claims): string {
  const bytes = Buffer.byteLength(secret);
  if (bytes < SECRET_BYTES_MIN) {
    throw new UsageError(`secret has ${bytes} bytes, and HS256 needs ${SECRET_BYTES_MIN} or more`);
  }
  checkName("user", claims.user);
  if (claims.tenant !== undefined) checkName("tenant", claims.tenant);
  for (const name of ["subscribe", "publish"] as const) {
    if ((claims[name]?.length ?? 0) > PATTERNS_MAX) {
      throw new UsageError(`${name} must be a list of at most ${PATTERNS_MAX} topic patterns`);
    }
  }
  const ttlSeconds = claims.ttlSeconds ?? TTL_SECONDS;
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1) {
    throw new UsageError(`ttlSeconds must be a whole number, 1 or more; it is ${ttlSeconds}`);
  }
  const issuedAt = Math.floor((claims.now?.getTime() ?? Date.now()) / 1_000);
  const { user, tenant, subscribe, publish, audience, issuer } = claims;
  const times = { iat: issuedAt, exp: issuedAt + ttlSeconds };
  const payload = { sub: user, ...times, tenant, subscribe, publish, aud: audience, iss: issuer };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(payload)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

function checkName(what: string, name: unknown): void {
  if (typeof name !== "string" || name.length === 0 || [...name].length > USER_LENGTH_MAX) {
    throw new UsageError(`${what} must be a string of 1 to ${USER_LENGTH_MAX} characters`);
  }
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
