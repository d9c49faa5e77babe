/**
 * A position in a topic, `epoch-offset`. The epoch names one life of the topic's history; offsets count that
 * life's events from 1, and offset 0 is the place before the first. Applications treat it as opaque.
 */
export type Cursor = string;

export interface Position {
  readonly epoch: string;
  /** 0 to 2^63-1: beyond what a number holds exactly. */
  readonly offset: bigint;
}

// Without the flag `m`, `$` is the end of the text and nothing else: a trailing newline does not pass.
const CURSOR = /^([a-z0-9]{1,32})-(0|[1-9][0-9]{0,18})$/;
const OFFSET_MAX = 2n ** 63n - 1n;

/** The two parts of a cursor, or null for what is none (`spec/vectors/cursors.json`). */
export function parseCursor(text: string): Position | null {
  const match = CURSOR.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return null;
  const offset = BigInt(match[2]);
  return offset > OFFSET_MAX ? null : { epoch: match[1], offset };
}

/**
 * Where `a` lies beside `b`: -1 before, 0 the same, 1 after. Null where nothing is known and the page must
 * refetch: their epochs differ, or one of them is no cursor.
 */
export function compareCursors(a: Cursor, b: Cursor): -1 | 0 | 1 | null {
  const left = parseCursor(a);
  const right = parseCursor(b);
  if (left === null || right === null || left.epoch !== right.epoch) return null;
  if (left.offset === right.offset) return 0;
  return left.offset < right.offset ? -1 : 1;
}
