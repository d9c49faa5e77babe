import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import {
  CloseCode,
  closeRetry,
  closeSentence,
  ErrorCode,
  errorFault,
  errorRetry,
  errorSentence,
  UnrecoveredReason,
  UnsubscribedReason,
  unrecoveredSentence,
} from "../src/core/codes.js";
import { compareCursors, parseCursor } from "../src/core/cursor.js";
import { checkEvent } from "../src/core/event.js";
import { checkTopic, isTopic, isWildcard, topicType, userTopic } from "../src/core/topics.js";
import { bytesOf, load } from "./vectors.js";

const topics = load("topics");
const cursors = load("cursors");
const events = load("events");

describe("topics", () => {
  test.each(topics.valid)("$topic is one", ({ topic, type }) => {
    expect(isTopic(topic)).toBe(true);
    expect(isWildcard(topic)).toBe(false);
    expect(checkTopic(topic)).toBeNull();
    expect(topicType(topic)).toBe(type);
  });

  test.each(topics.invalid)("none: $why", ({ topic }) => {
    expect(isTopic(topic)).toBe(false);
    expect(checkTopic(topic)).toMatchObject({ code: "bad_topic", path: "topic" });
  });

  test.each(topics.wildcards)("$topic as a wildcard: $valid", ({ topic, valid }) => {
    expect(isWildcard(topic)).toBe(valid);
    expect(isTopic(topic)).toBe(false);
  });

  test.each(load("users").users)("of the user $user", ({ user, topic }) => {
    expect(userTopic(user)).toBe(topic);
    expect(isTopic(topic)).toBe(true);
  });
});

describe("cursors", () => {
  test.each(cursors.valid)("$cursor is one", ({ cursor, epoch, offset }) => {
    expect(parseCursor(cursor)).toEqual({ epoch, offset: BigInt(offset) });
  });

  test.each(cursors.invalid)("none: $why", ({ cursor }) => {
    expect(parseCursor(cursor)).toBeNull();
    expect(compareCursors(cursor, "k3f9-1")).toBeNull();
    expect(compareCursors("k3f9-1", cursor)).toBeNull();
  });

  test.each(cursors.compare)("$a beside $b: $order", ({ a, b, order }) => {
    expect(compareCursors(a, b)).toBe(order);
    expect(compareCursors(b, a)).toBe(order === null ? null : 0 - order);
  });
});

describe("events", () => {
  const parse = (vector: Parameters<typeof bytesOf>[0]): unknown =>
    JSON.parse(new TextDecoder().decode(bytesOf(vector)));
  // What only a reader of the text or a measure of its size can tell is the validator's work.
  const inShape = events.invalid.filter((vector) => vector.parts === undefined);

  test.each(events.valid)("$name", (vector) => {
    expect(checkEvent(parse(vector))).toEqual([]);
  });

  test.each([...inShape, ...events.publishing])("refused: $name", (vector) => {
    const found = checkEvent(parse(vector)).map(({ code, path }) => ({ code, path }));
    const wanted = "faults" in vector ? vector.faults : undefined;
    expect(found).toEqual(wanted ?? [{ code: vector.code, path: vector.path }]);
  });
});

test.each(load("splices").splices)("the frame of $name holds its body and cursor", (vector) => {
  const frame = JSON.parse(vector.frame);
  expect(frame).toEqual({ ...JSON.parse(vector.body), cursor: vector.cursor });
  expect(parseCursor(frame.cursor)).not.toBeNull();
});

describe("the lists of codes", () => {
  const path = new URL("../../spec/codes.json", import.meta.url);
  const codes = JSON.parse(readFileSync(path, "utf8"));

  test("errors", () => {
    const said = Object.values(ErrorCode).map((code) => ({
      code,
      sentence: errorSentence.get(code),
      fault: errorFault.get(code),
      retry: errorRetry.get(code),
    }));
    expect(said).toEqual(codes.errors);
  });

  test("closes", () => {
    const said = Object.entries(CloseCode).map(([name, code]) => ({
      code,
      name: name.toLowerCase(),
      sentence: closeSentence.get(code),
      retry: closeRetry.get(code),
    }));
    expect(said).toEqual(codes.closes);
  });

  test("reasons", () => {
    const said = Object.values(UnrecoveredReason).map((reason) => ({
      reason,
      sentence: unrecoveredSentence.get(reason),
    }));
    expect(said).toEqual(codes.unrecovered);
    expect(Object.values(UnsubscribedReason)).toEqual(
      codes.unsubscribed.map(({ reason }: { reason: string }) => reason),
    );
  });

  test("a foreign code finds nothing", () => {
    expect(errorRetry.get("__proto__")).toBeUndefined();
    expect(errorSentence.get("constructor")).toBeUndefined();
  });
});

describe("the types of the frames", () => {
  const literals = (frames: readonly unknown[]): string =>
    `[\n${frames.map((frame) => `  ${JSON.stringify(frame)}`).join(",\n")}\n]`;

  /** What the compiler says of a module that holds the frames as literals. */
  function compile(clientFrames: readonly unknown[], serverFrames: readonly unknown[]): string {
    const folder = mkdtempSync(join(tmpdir(), "tidings-frames-"));
    const file = join(folder, "frames.mts");
    const types = fileURLToPath(new URL("../src/core/frames.js", import.meta.url));
    const source = [
      `import type { ClientFrame, ServerFrame } from ${JSON.stringify(types)};`,
      `export const client: ClientFrame[] = ${literals(clientFrames)};`,
      `export const server: ServerFrame[] = ${literals(serverFrames)};`,
    ];
    const tsc = new URL("../../node_modules/typescript/bin/tsc", import.meta.url);
    const options =
      "--ignoreConfig --noEmit --strict --exactOptionalPropertyTypes --module nodenext --target es2022";
    try {
      writeFileSync(file, source.join("\n"));
      execFileSync(process.execPath, [fileURLToPath(tsc), ...options.split(" "), file]);
      return "";
    } catch (error) {
      return String((error as { stdout?: unknown }).stdout ?? error);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  const client = load("client_frames")
    .valid.filter((vector) => vector.normal_without === undefined)
    .map((vector) => vector.normal);
  const server = load("server_frames").valid.map((vector) => vector.frame);

  test("hold every valid frame", () => {
    // A literal may hold no field that the type does not know; of data the server passes such on.
    const known = client.filter((frame) => !JSON.stringify(frame).includes('"revision"'));
    expect(compile(known, server)).toBe("");
  }, 60_000);

  test("refuse what is none", () => {
    expect(compile([{ type: "join" }], [])).toContain("error TS");
    expect(compile([], [{ type: "pong" }])).toContain("error TS");
  }, 60_000);
});
