/** A fake connection for the tests of your components, under Vitest, Jest or any other runner. */

export { ErrorCode, UnrecoveredReason } from "../core/codes.js";
export type { TestFrame } from "./server.js";
export {
  createTestLive,
  type EmitOptions,
  type TestLive,
  type TestLiveOptions,
} from "./test-live.js";
