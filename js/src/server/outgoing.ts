/** An event on its way to the server: checked and encoded when it is made, so that what is wrong is told at the caller. */
import { randomBytes } from "node:crypto";
import { checkEvent, type EventName } from "../core/event.js";
import { PublishError } from "./faults.js";
import { currentTraceId } from "./trace.js";

export interface PublishOptions {
  /** Which entity it is about; its text is the id. */
  readonly entityId: string | number | bigint;
  /** The entity, a part of it, or null, which lets the pages fetch it. */
  readonly payload?: unknown;
  /** Who caused it. */
  readonly userId?: string | null;
  readonly tenant?: string | null;
  readonly timestamp?: Date;
  /** By default that of the request that is being served, where `tidingsTrace` is in use. */
  readonly traceId?: string;
  /** Of the payload's schema, 1 or more. */
  readonly version?: number;
  /** Who is left out: a user, a session or both. */
  readonly exclude?: { readonly user?: string; readonly session?: string };
  /** A repeat with the same key within ten minutes stores nothing. Made where it is not given. */
  readonly idempotencyKey?: string;
}

/** One of several events for `publishMany`. */
export interface Outgoing extends PublishOptions {
  readonly topic: string;
  readonly event: EventName;
}

/** One event as it is sent. */
export interface Encoded {
  readonly json: string;
  readonly bytes: number;
  readonly idempotencyKey: string;
}

const PAYLOAD_BYTES_MAX = 102_400; // the server's own default

/** Throws PublishError, naming topic and field, for an event that could not be published. */
export function encode(outgoing: Outgoing): Encoded {
  const { topic, event, entityId, userId, tenant, timestamp, version, exclude } = outgoing;
  const idempotencyKey = outgoing.idempotencyKey ?? randomBytes(16).toString("hex");
  const payload = encodePayload(topic, outgoing.payload ?? null);
  const data = {
    entity_id: String(entityId ?? ""),
    user_id: userId ?? undefined,
    tenant_id: tenant ?? undefined,
    timestamp: timestamp === undefined ? undefined : timeOf(topic, timestamp),
  };
  const rest = {
    topic,
    event,
    trace_id: outgoing.traceId ?? currentTraceId() ?? undefined,
    version,
    exclude,
    idempotency_key: idempotencyKey,
  };
  const [fault] = checkEvent({ ...rest, data });
  if (fault !== undefined) {
    const message = `${fault.path || "the event"} ${fault.message}; ${fault.hint}`;
    throw new PublishError(fault.code, message, topic, fault.path);
  }
  const head = JSON.stringify(rest).slice(0, -1);
  const json = `${head},"data":${JSON.stringify(data).slice(0, -1)},"payload":${payload}}}`;
  return { json, bytes: Buffer.byteLength(json), idempotencyKey };
}

function encodePayload(topic: string, payload: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(payload, (key, value: unknown) => checked(topic, key, value));
  } catch (error) {
    if (error instanceof PublishError) throw error;
    const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw bad(topic, "data.payload", `cannot be JSON: ${why}`);
  }
  if (json === undefined)
    throw bad(topic, "data.payload", `is a ${typeof payload}, which JSON has not`);
  const bytes = Buffer.byteLength(json);
  if (bytes > PAYLOAD_BYTES_MAX) {
    const message = `data.payload has ${bytes} bytes, and ${PAYLOAD_BYTES_MAX} is the limit; publish a reference (payload null) and let the page fetch it`;
    throw new PublishError("payload_too_large", message, topic, "data.payload");
  }
  return json;
}

/** JSON would write these as null or as an empty object, and nobody would be told. */
function checked(topic: string, key: string, value: unknown): unknown {
  const path = key === "" ? "data.payload" : `data.payload, field ${JSON.stringify(key)},`;
  if (typeof value === "bigint")
    throw bad(topic, path, "is a bigint; write it as a string or a number");
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw bad(topic, path, `is ${value}, which JSON has not; write null or a string`);
  }
  if (value instanceof Map || value instanceof Set) {
    throw bad(topic, path, `is a ${value.constructor.name}; write it as an object or an array`);
  }
  return value;
}

function timeOf(topic: string, timestamp: Date): string {
  if (Number.isNaN(timestamp.getTime())) throw bad(topic, "data.timestamp", "is an invalid Date");
  return timestamp.toISOString();
}

function bad(topic: string, path: string, message: string): PublishError {
  return new PublishError("bad_event", `${path} ${message}`, topic, path);
}
