#!/usr/bin/env node
/** `npx tidings validate`: the same command as that of the Python package, in Node. */
import { readFileSync } from "node:fs";
import { shown } from "./core/fault.js";
import { type Line, linesOf, type Piece, toJson } from "./report.js";
import { validateBytes } from "./validate.js";

const USAGE = `Usage: tidings validate [--json] [EVENT|FILE|-]

Check an event, or one a line (NDJSON): errors, warnings, and what was understood.
EVENT is an event as JSON, FILE the name of a file, - standard input (as is nothing).

  --json   Print one JSON object, for scripts.
  --help   Show this text.

Exit status: 0 where every event is valid, 1 where one is not, 2 where the command is none.
`;

const COLOURS: Readonly<Record<Piece["style"], string>> = {
  plain: "",
  error: "1;31",
  warning: "33",
  good: "1;32",
  understood: "36",
  place: "1",
  dim: "2",
};

const MEND = "give an event as JSON, the name of a file, or - for standard input";

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(USAGE);
    return 0;
  }
  const [command, ...rest] = args;
  const asJson = rest.includes("--json");
  const sources = rest.filter((argument) => argument !== "--json");
  const unknown = sources.some((source) => source.startsWith("-") && source !== "-");
  if (command !== "validate" || sources.length > 1 || unknown) {
    process.stderr.write(USAGE);
    return 2;
  }
  const source = sources[0];
  const content = await readSource(source);
  if (content === null) {
    const why =
      source === undefined
        ? MEND
        : `${shown(source)} is neither JSON nor a file that can be read; ${MEND}`;
    process.stderr.write(`error: ${why}\n`);
    return 1;
  }
  const reports = validateBytes(
    content,
    source !== undefined && /\.(?:ndjson|jsonl)$/.test(source),
  );
  process.stdout.write(asJson ? `${toJson(reports)}\n` : linesOf(reports).map(print).join(""));
  return reports.every((report) => report.valid) ? 0 : 1;
}

/** The bytes that the argument means; null where there are none to be had. */
async function readSource(source: string | undefined): Promise<Uint8Array | null> {
  if (source === undefined && process.stdin.isTTY) return null;
  if (source === undefined || source === "-") {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
  if (/^[ \t\r\n]*[{[]/.test(source)) return new TextEncoder().encode(source);
  try {
    return readFileSync(source);
  } catch {
    return null;
  }
}

/** One line, in colour to a terminal. */
function print(line: Line): string {
  const inColour = process.stdout.isTTY && !process.env.NO_COLOR;
  const text = line.map(({ style, text }) => {
    const colour = COLOURS[style];
    return inColour && colour !== "" ? `\u001b[${colour}m${text}\u001b[0m` : text;
  });
  return `${text.join("")}\n`;
}

// A reader that has had enough (`| head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});
// Not process.exit: what was written must have left first.
process.exitCode = await main(process.argv.slice(2));
