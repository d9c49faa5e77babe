/** What every transport offers: one attempt at a connection, which may end at any time and is never reused. */

import type { ClientFrame } from "../frames.js";
import type { RawFrame } from "../machine/values.js";

export interface Link {
  send(frame: ClientFrame): void;
  /** Close it and hear no more of it, whether or not the other end answers. */
  drop(code: number): void;
}

export interface LinkEvents {
  open(): void;
  /** A frame, or null where it could not be read. */
  frame(frame: RawFrame | null): void;
  /** What the developer should know of the network; told once. */
  warn(code: string, message: string): void;
  /** The end, with the close code where there is one. Comes once, and not after `drop`. */
  lost(code: number | null): void;
}
