/** What a check found, and foreign text made fit to be shown in it. */
import type { ErrorCode } from "./codes.js";

export interface Fault {
  readonly code: ErrorCode;
  /** Where: `data.entity_id`; empty for the event as a whole. */
  readonly path: string;
  /** What is wrong: the rest of a sentence that begins with the path. */
  readonly message: string;
  /** How to mend it. */
  readonly hint: string;
}

const SHOWN_MAX = 60;

// Control characters, marks of direction, invisible characters, spaces that look like another and lone
// surrogates: raw in a terminal or a log they could move, hide or forge what stands there.
const UNPRINTABLE =
  /["\\\p{Cc}\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\uffff\p{Cs}\u{e0000}-\u{e0fff}]/gu;

/** Foreign text in quotes: at most 60 characters, and nothing in it that a terminal or a log would obey. */
export function shown(text: string): string {
  const characters = [...text];
  const cut =
    characters.length > SHOWN_MAX ? `${characters.slice(0, SHOWN_MAX - 1).join("")}…` : text;
  return `"${cut.replace(UNPRINTABLE, escapeCharacter)}"`;
}

function escapeCharacter(character: string): string {
  if (character === '"' || character === "\\") return `\\${character}`;
  const hex = (character.codePointAt(0) ?? 0).toString(16).padStart(4, "0");
  return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex}`;
}

/** How many characters (code points, as JSON Schema counts them; not UTF-16 units). */
export function lengthOf(text: string): number {
  return [...text].length;
}

/** What kind of JSON value it is, in words. */
export function kindOf(value: unknown): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
