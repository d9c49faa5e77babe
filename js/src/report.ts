/** What `tidings validate` prints; the twin of `src/tidings/cli/validate.py`, byte for byte. */
import { shown } from "./core/fault.js";
import type { Finding, Report } from "./validate.js";

/** A piece of a line, with its style in a terminal. */
export interface Piece {
  readonly style: "plain" | "error" | "warning" | "good" | "understood" | "place" | "dim";
  readonly text: string;
}
export type Line = readonly Piece[];

/** A line a fault, what was understood, and the sum. */
export function linesOf(reports: readonly Report[]): readonly Line[] {
  const lines: Line[] = [];
  for (const report of reports) {
    const start: Line = report.line === null ? [] : [piece("dim", `line ${report.line}: `)];
    for (const finding of report.errors) {
      lines.push([...start, piece("error", "error"), ...pieces(finding)]);
    }
    for (const finding of report.warnings) {
      lines.push([...start, piece("warning", "warning"), ...pieces(finding)]);
    }
    if (report.understood !== null) {
      const { topic, event, entity_id } = report.understood;
      const said = [named("topic", topic), named("event", event), named("entity", entity_id)];
      lines.push([
        ...start,
        piece("understood", "understood"),
        piece("plain", `: ${said.join(", ")}`),
      ]);
    }
  }
  lines.push([piece(reports.every((report) => report.valid) ? "good" : "error", sum(reports))]);
  return lines;
}

/** One object, in ASCII: a terminal obeys nothing in it. */
export function toJson(reports: readonly Report[]): string {
  const whole = { valid: reports.every((report) => report.valid), events: reports };
  return JSON.stringify(whole).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function pieces(finding: Finding): Line {
  return [
    piece("plain", ": "),
    piece("place", finding.path || "the event"),
    piece("plain", ` ${finding.message}; ${finding.hint}`),
  ];
}

function piece(style: Piece["style"], text: string): Piece {
  return { style, text };
}

function named(name: string, text: string | null): string {
  return `${name} ${text === null ? "nothing" : shown(text)}`;
}

function sum(reports: readonly Report[]): string {
  const errors = count(reports.flatMap((report) => report.errors).length, "error");
  const warnings = count(reports.flatMap((report) => report.warnings).length, "warning");
  const good = reports.filter((report) => report.valid).length;
  if (reports[0]?.line === null) {
    return `${good > 0 ? "valid" : "invalid"}: ${errors}, ${warnings}`;
  }
  const events = count(reports.length, "event");
  return `${events}: ${good} valid, ${reports.length - good} invalid; ${errors}, ${warnings}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
