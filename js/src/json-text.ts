/**
 * Reads JSON text as strictly as the wire does, and says where and how to mend it.
 *
 * The parsers of the languages differ in what they forgive (lone surrogates, depth) and in what they say; this
 * reader and its twin `src/tidings/core/json_text.py` say the same, character by character.
 */
import { ErrorCode } from "./core/codes.js";
import { type Fault, shown } from "./core/fault.js";

const NESTING_MAX = 32;

const SPACE = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them raw in a string.
const PLAIN = /[^"\\\u0000-\u001f\p{Cs}]*/uy;
const HEX = /\\u([0-9a-fA-F]{4})/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const AFTER_NUMBER = /[0-9A-Za-z_.+-]/y;
const WORD = /-?[A-Za-z_][A-Za-z0-9_]*/y;
const QUOTES = new Set("'`\u2018\u2019\u201c\u201d\u00ab\u00bb");
const SHORT_ESCAPES = new Set('"\\/bfnrt');
const FOREIGN = new Map([
  ["None", "null"],
  ["True", "true"],
  ["False", "false"],
  ["undefined", "null"],
  ["nil", "null"],
  ["NaN", "null"],
  ["Infinity", "null"],
  ["-Infinity", "null"],
  ["NULL", "null"],
]);

export interface JsonText {
  readonly value: unknown;
  /** How many bytes its `data.payload` has as compact JSON; null where there is none. */
  readonly payloadBytes: number | null;
}

/** The text is not JSON, or not JSON that the wire takes. */
export class JsonFault extends Error {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fault.message);
    this.fault = fault;
  }
}

/** Reads one JSON value; throws JsonFault with what is wrong, where, and how to mend it. */
export function readJson(text: string): JsonText {
  const reader = new Reader(text);
  reader.document();
  return { value: JSON.parse(text), payloadBytes: reader.payloadBytes };
}

/** Walks over the text; each method reads one thing and returns its bytes as compact JSON. */
class Reader {
  payloadBytes: number | null = null;
  private at = 0;
  private readonly path: string[] = [];

  constructor(private readonly text: string) {}

  document(): void {
    if (this.next() === "") {
      this.fail("there is nothing", 'write an event: {"topic": …, "event": …, "data": {…}}');
    }
    this.value(1);
    if (this.next() !== "") {
      this.fail(`${this.here()} comes after the end`, "give one event, or one a line");
    }
  }

  /** Skips white space; the character that follows, or nothing at the end. */
  private next(): string {
    this.at += this.match(SPACE)?.[0].length ?? 0;
    return this.text.charAt(this.at);
  }

  private match(pattern: RegExp, at: number = this.at): RegExpExecArray | null {
    pattern.lastIndex = at;
    return pattern.exec(this.text);
  }

  private value(depth: number): number {
    const first = this.next();
    if (first === "{" || first === "[") {
      if (depth > NESTING_MAX) this.tooDeep();
      return first === "{" ? this.object(depth) : this.array(depth);
    }
    if (first === '"') return this.string();
    for (const word of ["true", "false", "null"]) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return word.length;
      }
    }
    return this.number(first);
  }

  private object(depth: number): number {
    this.at += 1;
    let size = 2;
    if (this.next() === "}") {
      this.at += 1;
      return size;
    }
    do {
      size += this.member(depth) + 1;
    } while (this.comma("}"));
    this.close("}", "part fields by commas, and close the object with }");
    return size - 1;
  }

  private member(depth: number): number {
    if (this.next() !== '"') this.wrongName();
    const start = this.at;
    const size = this.string();
    const name: string = JSON.parse(this.text.slice(start, this.at));
    if (this.next() !== ":") {
      this.fail(`${this.here()} stands where a colon must be`, "part name and value by a colon");
    }
    this.at += 1;
    this.path.push(name);
    const value = this.value(depth + 1);
    if (this.path.length === 2 && this.inPayload()) this.payloadBytes = value;
    this.path.pop();
    return size + 1 + value;
  }

  private array(depth: number): number {
    this.at += 1;
    let size = 2;
    if (this.next() === "]") {
      this.at += 1;
      return size;
    }
    this.path.push("");
    do {
      size += this.value(depth + 1) + 1;
    } while (this.comma("]"));
    this.path.pop();
    this.close("]", "part values by commas, and close the array with ]");
    return size - 1;
  }

  /** Whether a comma, and so another field or value, follows. */
  private comma(bracket: string): boolean {
    if (this.next() !== ",") return false;
    const comma = this.at;
    this.at += 1;
    if (this.next() === bracket) {
      this.at = comma;
      this.fail("a comma has nothing after it", "take the comma away");
    }
    return true;
  }

  private close(bracket: string, hint: string): void {
    if (this.next() !== bracket) {
      this.fail(`${this.here()} stands where a comma or ${bracket} must be`, hint);
    }
    this.at += 1;
  }

  private string(): number {
    this.at += 1;
    let size = 2;
    for (;;) {
      const plain = this.match(PLAIN)?.[0] ?? "";
      this.at += plain.length;
      size += new TextEncoder().encode(plain).length;
      const character = this.text.charAt(this.at);
      if (character === '"') {
        this.at += 1;
        return size;
      }
      if (character !== "\\") this.wrongInString(character);
      size += this.escape();
    }
  }

  private escape(): number {
    const letter = this.text.charAt(this.at + 1);
    if (SHORT_ESCAPES.has(letter)) {
      this.at += 2;
      return letter === "/" ? 1 : 2;
    }
    const digits = this.match(HEX)?.[1];
    if (digits === undefined) {
      this.fail(
        "an escape is none that JSON knows",
        "write \\\\ for a backslash, or \\u and four hex digits",
      );
    }
    const code = Number.parseInt(digits, 16);
    if (isHigh(code)) {
      const low = this.match(HEX, this.at + 6)?.[1];
      if (low !== undefined && isLow(Number.parseInt(low, 16))) {
        this.at += 12;
        return 4;
      }
    }
    if (isHigh(code) || isLow(code)) {
      this.fail(
        "a surrogate stands alone",
        "write both halves of the pair, or the character itself",
      );
    }
    this.at += 6;
    return encodedSize(code);
  }

  private number(first: string): number {
    const digits = this.match(NUMBER)?.[0];
    if (digits === undefined || this.match(AFTER_NUMBER, this.at + digits.length) !== null) {
      this.wrongValue(first);
    }
    if (!Number.isFinite(Number(digits))) {
      this.fail(
        "a number is beyond the range of a double",
        "write it as a string",
        ErrorCode.BAD_EVENT,
      );
    }
    this.at += digits.length;
    return digits.length;
  }

  private wrongName(): never {
    const word = this.match(WORD)?.[0];
    if (word !== undefined) this.fail(`the name ${shown(word)} has no quotes`, `write "${word}"`);
    if (QUOTES.has(this.next())) this.wrongQuotes();
    this.fail(`${this.here()} stands where a name must be`, "write names in double quotes");
  }

  private wrongValue(first: string): never {
    const word = this.match(WORD)?.[0];
    if (word !== undefined) {
      const mend = FOREIGN.get(word);
      const hint = mend === undefined ? "put text in double quotes" : `write ${mend}`;
      this.fail(`${shown(word)} is no value of JSON`, hint);
    }
    if (/^[-+.0-9]$/.test(first)) {
      this.fail(
        "a number is not written as JSON has it",
        "write no plus sign and no zero in front, and digits on both sides of the point",
      );
    }
    if (QUOTES.has(first)) this.wrongQuotes();
    if (first === "/" || first === "#") {
      this.fail("a comment begins", "take it away: JSON has no comments");
    }
    if (first === "\ufeff") {
      this.fail("a byte order mark stands in front", "save it as UTF-8 without one");
    }
    this.fail(
      `${this.here()} stands where a value must be`,
      "write a value, or take the comma or colon away",
    );
  }

  private wrongQuotes(): never {
    this.fail(`${this.here()} stands for a quote`, 'write strings in double quotes: "…"');
  }

  private wrongInString(character: string): never {
    if (character === "") this.fail("the text ends within a string", "close the string");
    if (character < " ") {
      const short = new Map([
        ["\n", "\\n"],
        ["\r", "\\r"],
        ["\t", "\\t"],
      ]).get(character);
      const mend = short ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
      this.fail(`${this.here()} stands raw in a string`, `write it as ${mend}`);
    }
    this.fail(`${this.here()} is no character`, "write UTF-8");
  }

  private inPayload(): boolean {
    return this.path[0] === "data" && this.path[1] === "payload";
  }

  private tooDeep(): never {
    const path = this.inPayload() ? "data.payload" : "";
    const message = `nests deeper than ${NESTING_MAX} levels, at ${this.position()}`;
    throw new JsonFault({ code: ErrorCode.BAD_EVENT, path, message, hint: "flatten the payload" });
  }

  private here(): string {
    const code = this.text.codePointAt(this.at);
    return code === undefined ? "the end of the text" : shown(String.fromCodePoint(code));
  }

  private fail(what: string, hint: string, code: ErrorCode = ErrorCode.BAD_JSON): never {
    const verb = code === ErrorCode.BAD_JSON ? "is no JSON" : "cannot be sent";
    const message = `${verb}: ${what}, at ${this.position()}`;
    throw new JsonFault({ code, path: "", message, hint });
  }

  /** Counts columns in characters (code points), from 1. */
  private position(): string {
    const before = this.text.slice(0, this.at).split("\n");
    const column = [...(before.at(-1) ?? "")].length + 1;
    const afterFirstLine = this.text.slice(this.text.indexOf("\n") + 1 || this.text.length);
    if (!/[^ \t\n\r]/.test(afterFirstLine)) return `column ${column}`;
    return `line ${before.length}, column ${column}`;
  }
}

function isHigh(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

function isLow(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

/** How many bytes a character that was escaped has in compact JSON. */
function encodedSize(code: number): number {
  if ([0x22, 0x5c, 0x08, 0x09, 0x0a, 0x0c, 0x0d].includes(code)) return 2;
  if (code < 0x20) return 6;
  if (code < 0x80) return 1;
  return code < 0x800 ? 2 : 3;
}
