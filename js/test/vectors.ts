/** Reads spec/vectors; what a vector's fields mean stands in each file's `description`. */
import { readFileSync } from "node:fs";

export interface Place {
  readonly code: string;
  readonly path: string;
}

export interface Input {
  readonly name: string;
  readonly event?: unknown;
  readonly frame?: unknown;
  readonly text?: string;
  readonly parts?: readonly (string | readonly [string, number])[];
  readonly base64?: string;
}

export interface Vectors {
  topics: {
    valid: { topic: string; type: string }[];
    invalid: { topic: string; why: string }[];
    wildcards: { topic: string; valid: boolean }[];
  };
  cursors: {
    valid: { cursor: string; epoch: string; offset: string }[];
    invalid: { cursor: string; why: string }[];
    compare: { a: string; b: string; order: -1 | 0 | 1 | null }[];
  };
  users: { users: { user: string; topic: string }[] };
  events: {
    valid: (Input & { warnings: Place[] })[];
    invalid: (Input & Place & { faults?: Place[]; warnings?: Place[] })[];
    publishing: (Input & Place)[];
    unreadable: Input[];
  };
  splices: { splices: { name: string; body: string; cursor: string; frame: string }[] };
  client_frames: { valid: (Input & { normal: unknown; normal_without?: string[] })[] };
  server_frames: { valid: Input[] };
}

export function load<K extends keyof Vectors>(name: K): Vectors[K] {
  const path = new URL(`../../spec/vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(path, "utf8"));
}

/** The bytes of a vector's input, however it is written down. */
export function bytesOf(vector: Input): Uint8Array {
  if (vector.base64 !== undefined) return Buffer.from(vector.base64, "base64");
  const text =
    vector.text ??
    vector.parts
      ?.map((part) => (typeof part === "string" ? part : part[0].repeat(part[1])))
      .join("");
  return new TextEncoder().encode(
    text ?? JSON.stringify("event" in vector ? vector.event : vector.frame),
  );
}
