/** `import "tidings/elements"`: defines `<tidings-status>`, for any framework and for none. */

import { TidingsStatus } from "./status.js";

export type { Humane, HumaneState, Tone } from "../core/humane.js";
export { type StatusWords, TidingsStatus } from "./status.js";

declare global {
  interface HTMLElementTagNameMap {
    "tidings-status": TidingsStatus;
  }
}

const registry = globalThis.customElements;
if (registry !== undefined && registry.get("tidings-status") === undefined) {
  registry.define("tidings-status", TidingsStatus);
}
