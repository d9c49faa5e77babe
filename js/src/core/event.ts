/** The event and its topic: the types, and the checks that `spec/event.schema.json` and the vectors ask for. */
import { ErrorCode } from "./codes.js";
import type { Cursor } from "./cursor.js";
import { type Fault, kindOf, lengthOf, shown } from "./fault.js";
import { checkTopic } from "./topics.js";

/** The usual names; any other of the form `[A-Z][A-Z0-9_]*` is as good. */
export type EventName = "ADDED" | "UPDATED" | "DELETED" | "STATUS_CHANGED" | (string & {});

export interface EventData<P = unknown> {
  readonly entity_id: string;
  /** The full object, a part of it, or null: fetch the entity. */
  readonly payload: P;
  readonly user_id?: string | null;
  readonly tenant_id?: string | null;
  /** ISO 8601 with its zone. */
  readonly timestamp: string;
}

/** An event as a subscriber gets it. */
export interface TidingsEvent<P = unknown> {
  /** `resource-type:identifier`. */
  readonly topic: string;
  readonly event: EventName;
  readonly data: EventData<P>;
  /** 32 lower-case hex digits where it comes from a `traceparent`. */
  readonly trace_id?: string;
  /** Of the payload's schema, 1 or more. */
  readonly version?: number;
  readonly cursor: Cursor;
}

/** The same as a frame: it alone carries no `type`. */
export type EventFrame<P = unknown> = TidingsEvent<P> & { readonly type?: never };

/** An event as it is handed in: the server adds the time and the cursor. */
export interface PublishedEvent<P = unknown> {
  readonly topic: string;
  readonly event: EventName;
  readonly data: Omit<EventData<P>, "payload" | "timestamp"> & {
    readonly payload?: P;
    readonly timestamp?: string;
  };
  readonly trace_id?: string;
  readonly version?: number;
}

export const EVENT_NAME_LENGTH_MAX = 128;
export const ENTITY_ID_LENGTH_MAX = 256;
export const TRACE_ID_LENGTH_MAX = 128;
export const IDEMPOTENCY_KEY_LENGTH_MAX = 128;

const EXAMPLE = '{"topic": "gift-list:123", "event": "UPDATED", "data": {"entity_id": "gift-7"}}';
const TIME_EXAMPLE = '"2026-11-23T15:00:00.000Z"';

// The pattern of spec/event.schema.json: it knows how many days each month has, in leap years too.
const TIMESTAMP =
  /^(?:(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29)T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$/;
const TIME_SHAPE = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?/;

/** Whether the text is a time of ISO 8601 with its zone, and one that the calendar has. */
export function isTimestamp(text: string): boolean {
  return TIMESTAMP.test(text);
}

type Fields = Readonly<Record<string, unknown>>;

/** Whether a JSON value is an object, and no array. */
export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Everything that is wrong with an event to publish; empty where the server will take it. */
export function checkEvent(value: unknown): readonly Fault[] {
  if (!isFields(value)) {
    return [bad("", `must be an object, and is ${kindOf(value)}`, `write ${EXAMPLE}`)];
  }
  const topic = value.topic;
  return [
    typeof topic === "string"
      ? checkTopic(topic)
      : wanted("topic", topic, "a string", 'add "topic": "gift-list:123"'),
    text("event", value.event, EVENT_NAME_LENGTH_MAX, 'add "event": "UPDATED"'),
    ...checkData(value.data),
    optionalText("trace_id", value.trace_id, TRACE_ID_LENGTH_MAX),
    checkVersion(value.version),
    optionalText("idempotency_key", value.idempotency_key, IDEMPOTENCY_KEY_LENGTH_MAX),
  ].filter((fault) => fault !== null);
}

function checkData(data: unknown): readonly (Fault | null)[] {
  if (!isFields(data)) {
    return [
      wanted("data", data, "an object", 'add "data": {"entity_id": "gift-7", "payload": {}}'),
    ];
  }
  return [
    text("data.entity_id", data.entity_id, ENTITY_ID_LENGTH_MAX, 'add "entity_id": "gift-7"'),
    optionalText("data.user_id", data.user_id, Number.POSITIVE_INFINITY),
    optionalText("data.tenant_id", data.tenant_id, Number.POSITIVE_INFINITY),
    checkTime(data.timestamp),
  ];
}

function checkTime(time: unknown): Fault | null {
  const path = "data.timestamp";
  if (time === null || time === undefined) return null;
  if (typeof time !== "string") return wanted(path, time, "a string", `write ${TIME_EXAMPLE}`);
  if (isTimestamp(time)) return null;
  const shape = TIME_SHAPE.exec(time)?.[0];
  if (shape === undefined) {
    return bad(
      path,
      `is ${shown(time)}, which is no time`,
      `write it as ISO 8601: ${TIME_EXAMPLE}`,
    );
  }
  if (shape === time) {
    return bad(path, `is ${shown(time)}, without a time zone`, "add Z at the end if it is in UTC");
  }
  const hint = `check the day, the clock and the zone: ${TIME_EXAMPLE}`;
  return bad(path, `is ${shown(time)}, no whole time that the calendar has`, hint);
}

function checkVersion(version: unknown): Fault | null {
  if (version === null || version === undefined) return null;
  const whole = typeof version === "number" && Number.isSafeInteger(version) && version >= 1;
  if (whole) return null;
  const hint =
    "write the version of the payload's schema as a whole number of 1 or more, without quotes";
  if (typeof version !== "number") return wanted("version", version, "a whole number", hint);
  return bad("version", "must be a whole number from 1 to 9007199254740991", hint);
}

function text(path: string, value: unknown, most: number, hint: string): Fault | null {
  if (typeof value === "number") {
    return wanted(path, value, "a string", "put it in double quotes");
  }
  if (typeof value !== "string") return wanted(path, value, "a string", hint);
  return checkLength(path, value, most);
}

function optionalText(path: string, value: unknown, most: number): Fault | null {
  if (value === null || value === undefined) return null;
  if (typeof value !== "string") {
    return wanted(path, value, "a string", "put it in double quotes, or leave it out");
  }
  return most === Number.POSITIVE_INFINITY ? null : checkLength(path, value, most);
}

function checkLength(path: string, value: string, most: number): Fault | null {
  if (value === "") return bad(path, "is empty", "give it at least one character");
  const length = lengthOf(value);
  if (length <= most) return null;
  return bad(path, `has ${length} characters, and ${most} is the limit`, "shorten it");
}

function wanted(path: string, value: unknown, kind: string, hint: string): Fault {
  const missing = value === undefined || value === null;
  return bad(path, missing ? "is missing" : `must be ${kind}, and is ${kindOf(value)}`, hint);
}

function bad(path: string, message: string, hint: string): Fault {
  return { code: ErrorCode.BAD_EVENT, path, message, hint };
}
