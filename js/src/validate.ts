/**
 * Everything that is wrong with an event, and everything that is unusual: what `npx tidings validate` says.
 *
 * Its twin `src/tidings/core/validator.py` says the same, word for word; `spec/vectors/events.json` holds both.
 */
import { ErrorCode } from "./core/codes.js";
import { checkEvent, isFields, isTimestamp } from "./core/event.js";
import { shown } from "./core/fault.js";
import { JsonFault, readJson } from "./json-text.js";

export const PAYLOAD_BYTES_MAX = 102_400;
/** Above this a part of the entity or a reference serves better. */
export const PAYLOAD_BYTES_GOOD = 10_240;

/** The codes of warnings, in the order in which they are told. */
export const WARNINGS = [
  "unusual_event",
  "no_payload",
  "large_payload",
  "no_timestamp",
  "not_utc",
  "dropped_field",
  "unknown_field",
] as const;
export type WarningCode = (typeof WARNINGS)[number];

/** One thing that is wrong with an event, or not as it should be. */
export interface Finding {
  readonly code: ErrorCode | WarningCode;
  /** Where: `data.entity_id`; empty for the event as a whole. */
  readonly path: string;
  /** What is wrong: the rest of a sentence that begins with the path. */
  readonly message: string;
  /** How to mend it. */
  readonly hint: string;
}

/** What the event says, as far as it can be read. */
export interface Understood {
  readonly topic: string | null;
  readonly event: string | null;
  readonly entity_id: string | null;
}

/** What was found in one event. */
export interface Report {
  /** Its line in NDJSON, counted from 1. */
  readonly line: number | null;
  /** Whether the server will take it; warnings do not count. */
  readonly valid: boolean;
  readonly errors: readonly Finding[];
  readonly warnings: readonly Finding[];
  readonly understood: Understood | null;
}

const DATA_FIELDS = ["entity_id", "payload", "user_id", "tenant_id", "timestamp"];
const TOP_FIELDS = ["topic", "event", "data", "trace_id", "version", "idempotency_key"];
const DROPPED = new Map([
  ["type", "an event carries no type"],
  ["cursor", "the server gives each event its cursor"],
]);

/** Validates one event, or one a line (NDJSON): where `byLine` says so, or the text looks so. */
export function validateBytes(content: Uint8Array, byLine = false): readonly Report[] {
  try {
    return validateText(decode(content), byLine);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const message = `is not UTF-8, at line ${brokenLine(content)}`;
    const fault = { code: ErrorCode.BAD_JSON, path: "", message, hint: "save it as UTF-8" };
    return [report([fault], [], null, null)];
  }
}

/** The same for text. */
export function validateText(text: string, byLine = false): readonly Report[] {
  const lines = text
    .split("\n")
    .map((line, index) => [index + 1, line] as const)
    .filter(([, line]) => /[^ \t\r]/.test(line));
  if (!byLine || lines.length === 0) {
    const whole = validateOne(text, null);
    const objects = lines.filter(([, line]) => line.startsWith("{")).length;
    if (whole.understood !== null || objects < 2) return [whole];
  }
  return lines.map(([number, line]) => validateOne(line, number));
}

/** Validates a value; `payloadBytes` is the payload's size as compact JSON, measured where it is not given. */
export function validateEvent(
  value: unknown,
  payloadBytes: number | null = measure(value),
  line: number | null = null,
): Report {
  const errors: Finding[] = [...checkEvent(value)];
  if (!isFields(value)) return report(errors, [], null, line);
  const data = isFields(value.data) ? value.data : null;
  const warnings = [...warnOfEvent(value.event), ...(data === null ? [] : warnOfData(data))];
  for (const finding of checkSize(payloadBytes)) {
    (finding.code === ErrorCode.PAYLOAD_TOO_LARGE ? errors : warnings).push(finding);
  }
  warnings.push(...warnOfFields(value, data ?? {}));
  warnings.sort((a, b) => rank(a) - rank(b));
  const wrong = new Set(errors.map((finding) => finding.path));
  const good = (path: string, field: unknown): string | null =>
    typeof field === "string" && !wrong.has(path) ? field : null;
  const understood = {
    topic: good("topic", value.topic),
    event: good("event", value.event),
    entity_id: good("data.entity_id", data?.entity_id),
  };
  return report(errors, warnings, understood, line);
}

function validateOne(text: string, line: number | null): Report {
  try {
    const { value, payloadBytes } = readJson(text);
    return validateEvent(value, payloadBytes, line);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    return report([error.fault], [], null, line);
  }
}

function report(
  errors: readonly Finding[],
  warnings: readonly Finding[],
  understood: Understood | null,
  line: number | null,
): Report {
  return { line, valid: errors.length === 0, errors, warnings, understood };
}

function decode(content: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
}

/** The first line that is not UTF-8; no character of UTF-8 spans a newline. */
function brokenLine(content: Uint8Array): number {
  let line = 1;
  let start = 0;
  for (;;) {
    const end = content.indexOf(0x0a, start);
    try {
      decode(content.subarray(start, end === -1 ? undefined : end));
    } catch {
      return line;
    }
    if (end === -1) return line;
    start = end + 1;
    line += 1;
  }
}

function measure(value: unknown): number | null {
  if (!isFields(value) || !isFields(value.data)) return null;
  const text = JSON.stringify(value.data.payload);
  return text === undefined ? null : new TextEncoder().encode(text).length;
}

function rank(finding: Finding): number {
  return (WARNINGS as readonly string[]).indexOf(finding.code);
}

function checkSize(payloadBytes: number | null): readonly Finding[] {
  if (payloadBytes === null || payloadBytes <= PAYLOAD_BYTES_GOOD) return [];
  const tooLarge = payloadBytes > PAYLOAD_BYTES_MAX;
  const bound = tooLarge
    ? `${grouped(PAYLOAD_BYTES_MAX)} is the limit`
    : `${grouped(PAYLOAD_BYTES_GOOD)} is a good size`;
  return [
    {
      code: tooLarge ? ErrorCode.PAYLOAD_TOO_LARGE : "large_payload",
      path: "data.payload",
      message: `has ${grouped(payloadBytes)} bytes, and ${bound}`,
      hint: "send what changed, or null: the client fetches the entity",
    },
  ];
}

function grouped(number: number): string {
  return number.toLocaleString("en-US");
}

function warnOfEvent(name: unknown): readonly Finding[] {
  if (typeof name !== "string" || name === "" || isUsualName(name)) return [];
  const better = name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toUpperCase()
    .replace(/[^A-Z0-9]+/g, "_")
    .replace(/^_|_$/g, "");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII.
  const fits = /^[\u0000-\u007f]*$/.test(name) && isUsualName(better);
  const hint = fits ? `write "${better}"` : 'use upper case with underscores, such as "UPDATED"';
  return [
    { code: "unusual_event", path: "event", message: `is ${shown(name)}, an unusual name`, hint },
  ];
}

function isUsualName(name: string): boolean {
  return /^[A-Z][A-Z0-9_]*$/.test(name);
}

function warnOfData(data: Readonly<Record<string, unknown>>): readonly Finding[] {
  const findings: Finding[] = [];
  if (!Object.hasOwn(data, "payload")) {
    const hint = "add it, or write null: the client fetches the entity";
    findings.push({ code: "no_payload", path: "data.payload", message: "is missing", hint });
  }
  const path = "data.timestamp";
  const time = data.timestamp;
  if (time === undefined || time === null) {
    const hint = "add it, or leave it to the server, which adds the time of publishing";
    findings.push({ code: "no_timestamp", path, message: "is missing", hint });
  } else if (typeof time === "string" && isTimestamp(time) && !/(?:Z|[+-]00:00)$/.test(time)) {
    const message = `is ${shown(time)}, not in UTC`;
    findings.push({ code: "not_utc", path, message, hint: "convert it, and end it with Z" });
  }
  return findings;
}

function warnOfFields(
  value: Readonly<Record<string, unknown>>,
  data: Readonly<Record<string, unknown>>,
): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [name, why] of DROPPED) {
    if (Object.hasOwn(value, name)) {
      const message = `is dropped: ${why}`;
      findings.push({ code: "dropped_field", path: name, message, hint: "leave it out" });
    }
  }
  for (const name of Object.keys(data).sort()) {
    if (DATA_FIELDS.includes(name)) continue;
    const message = "is no field of data, though it is passed on";
    const hint = hintFor(name, DATA_FIELDS, TOP_FIELDS, "move it out of data, as");
    findings.push({ code: "unknown_field", path: pathOf("data", name), message, hint });
  }
  for (const name of Object.keys(value).sort()) {
    if (TOP_FIELDS.includes(name) || DROPPED.has(name)) continue;
    const message = "is no field of an event, and is dropped";
    const hint = hintFor(name, TOP_FIELDS, DATA_FIELDS, "move it into data, as");
    findings.push({ code: "unknown_field", path: pathOf("", name), message, hint });
  }
  return findings;
}

/** What was meant, if it is a known field in another spelling or at another place. */
function hintFor(
  name: string,
  fields: readonly string[],
  elsewhere: readonly string[],
  move: string,
): string {
  const bare = name.replace(/[^A-Za-z0-9]/g, "").toLowerCase();
  const isMeant = (field: string): boolean => field.replaceAll("_", "") === bare;
  const meant = fields.find(isMeant);
  if (meant !== undefined) return `write "${meant}"`;
  const misplaced = elsewhere.find(isMeant);
  return misplaced === undefined ? "move it into the payload" : `${move} "${misplaced}"`;
}

function pathOf(parent: string, name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return `${parent}[${shown(name)}]`;
  return parent === "" ? name : `${parent}.${name}`;
}
