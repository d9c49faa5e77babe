"use client";
/** Tidings for SWR. */

export * from "../sync/exports.js";
export { useWaitingChanges } from "../sync-react/use-waiting-changes.js";
export type { FetcherTools, SWRCache } from "./cache.js";
export { type SWRRule, type SWRRules, tidingsMiddleware } from "./middleware.js";
export { type QueuedSWRMutationOptions, queuedSWRMutation } from "./queued.js";
export { type TopicSWROptions, useTopicSWR } from "./use-topic-swr.js";
export {
  type TopicSWRMutation,
  type TopicSWRMutationOptions,
  useTopicSWRMutation,
} from "./use-topic-swr-mutation.js";
