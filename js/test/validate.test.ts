import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { linesOf, toJson } from "../src/report.js";
import {
  type Finding,
  type Report,
  validateBytes,
  validateEvent,
  validateText,
} from "../src/validate.js";
import { bytesOf, load, type Place } from "./vectors.js";

const events = load("events");
const EVENT =
  '{"topic":"gift-list:1","event":"UPDATED","data":{"entity_id":"gift-7","payload":null,"timestamp":"2026-11-23T15:00:00Z"}}';

const places = (findings: readonly Finding[]): Place[] =>
  findings.map(({ code, path }) => ({ code, path }));

function only(reports: readonly Report[]): Report {
  expect(reports).toHaveLength(1);
  return reports[0] as Report;
}

const textOf = (reports: readonly Report[]): string[] =>
  linesOf(reports).map((line) => line.map((piece) => piece.text).join(""));

describe("the vectors", () => {
  test.each(events.valid)("$name", (vector) => {
    const report = only(validateBytes(bytesOf(vector)));
    expect(report.valid).toBe(true);
    expect(places(report.errors)).toEqual([]);
    expect(places(report.warnings)).toEqual(vector.warnings);
    expect(report.understood?.topic).toMatch(/^(gift-list|a):/);
  });

  test.each([...events.invalid, ...events.publishing])("refused: $name", (vector) => {
    const report = only(validateBytes(bytesOf(vector)));
    const wanted = "faults" in vector ? vector.faults : undefined;
    expect(report.valid).toBe(false);
    expect(places(report.errors)).toEqual(wanted ?? [{ code: vector.code, path: vector.path }]);
    if ("warnings" in vector) expect(places(report.warnings)).toEqual(vector.warnings);
  });

  test.each(events.unreadable)("unreadable: $name", (vector) => {
    const report = only(validateBytes(bytesOf(vector)));
    expect(places(report.errors)).toEqual([{ code: "bad_json", path: "" }]);
    expect(report.understood).toBeNull();
  });
});

test("a value is measured where no text was read", () => {
  const data = { entity_id: "1", timestamp: "2026-11-23T15:00:00Z" };
  const event = { topic: "a:b", event: "ADDED", data: { ...data, payload: "é".repeat(51_200) } };
  expect(places(validateEvent(event).errors)).toEqual([
    { code: "payload_too_large", path: "data.payload" },
  ]);
  expect(validateEvent({ ...event, data: { ...data, payload: undefined } }).valid).toBe(true);
});

test("one event a line: faults are told with their line, blank lines are skipped", () => {
  const reports = validateText(`${EVENT}\n\n{"topic":"gifts"}\r\n{oops\n`);
  expect(reports.map((report) => [report.line, report.valid])).toEqual([
    [1, true],
    [3, false],
    [4, false],
  ]);
  const lines = textOf(reports);
  expect(lines[1]).toMatch(/^line 3: error: topic is "gifts", without a colon; /);
  expect(lines.at(-2)).toMatch(
    /^line 4: error: the event is no JSON: the name "oops" has no quotes/,
  );
  expect(lines.at(-1)).toBe("3 events: 1 valid, 2 invalid; 4 errors, 0 warnings");
});

test("an event spread over lines is one event, and its faults say line and column", () => {
  expect(only(validateText(JSON.stringify(JSON.parse(EVENT), null, 2))).valid).toBe(true);
  const report = only(validateText('{\n  "topic": "a:b",\n}\n'));
  expect(report.errors[0]?.message).toContain("at line 2, column 17");
});

test("nothing of the input reaches the terminal raw", () => {
  const hostile = "\u001b[31m\u0007\u009b\u202e\u2028\u0000";
  const event = {
    topic: hostile,
    event: `A${hostile}`,
    data: { entity_id: hostile, [hostile]: 1 },
  };
  const reports = [
    validateEvent(event),
    validateEvent({ ...event, topic: `${hostile}:${hostile}` }),
  ];
  for (const printed of [...textOf(reports), toJson(reports)]) {
    expect(printed).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  }
  expect(toJson(reports)).toMatch(/^[ -~]*$/);
});

describe("the command", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidings-validate-"));
  const command = join(folder, "cli.mjs");

  beforeAll(() => {
    const entry = fileURLToPath(new URL("../src/cli.ts", import.meta.url));
    buildSync({
      entryPoints: [entry],
      outfile: command,
      bundle: true,
      platform: "node",
      format: "esm",
    });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const run = (
    args: readonly string[],
    input = "",
  ): { status: number | null; out: string; err: string } => {
    const done = spawnSync(process.execPath, [command, ...args], { input, encoding: "utf8" });
    return { status: done.status, out: done.stdout, err: done.stderr };
  };

  test("takes an event as its argument", () => {
    expect(run(["validate", EVENT])).toEqual({
      status: 0,
      out: 'understood: topic "gift-list:1", event "UPDATED", entity "gift-7"\nvalid: 0 errors, 0 warnings\n',
      err: "",
    });
  });

  test("takes a file, of one event a line by its name", () => {
    const file = join(folder, "events.ndjson");
    writeFileSync(file, `${EVENT}\n`);
    expect(run(["validate", file]).out).toMatch(/^line 1: understood/);
  });

  test("takes standard input, and answers 1 for a fault", () => {
    expect(run(["validate", "-"], '{"topic":"gift-list:1"}').status).toBe(1);
    expect(run(["validate"], EVENT).status).toBe(0);
  });

  test("prints one JSON object with --json", () => {
    const { status, out } = run(["validate", "--json", "{}"]);
    expect(status).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ valid: false, events: [{ line: null, valid: false }] });
  });

  test("says what it cannot read, and what it is not", () => {
    expect(run(["validate", "no-such-file"])).toMatchObject({ status: 1, out: "" });
    expect(run(["validate", "no-such-file"]).err).toContain(
      '"no-such-file" is neither JSON nor a file',
    );
    expect(run(["publish"]).status).toBe(2);
    expect(run(["validate", "--colour"]).status).toBe(2);
    expect(run(["--help"])).toMatchObject({ status: 0, err: "" });
  });

  test("ends in peace when its reader has had enough", () => {
    const file = join(folder, "many.ndjson");
    writeFileSync(file, '{"topic":"gifts"}\n'.repeat(20_000));
    const script = `"${process.execPath}" "${command}" validate "${file}" | head -n 1`;
    expect(execFileSync("sh", ["-c", `${script} 2>&1`], { encoding: "utf8" })).toMatch(
      /^line 1: error/,
    );
  });
});
