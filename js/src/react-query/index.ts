"use client";
/** Tidings for TanStack Query. */

export * from "../sync/exports.js";
export { useWaitingChanges } from "../sync-react/use-waiting-changes.js";
export { bindOnlineManager } from "./bind-online-manager.js";
export { bindQueryClient } from "./bind-query-client.js";
export { coalescedRefetch } from "./coalesced-refetch.js";
export { type QueuedMutationOptions, queuedMutation } from "./queued-mutation.js";
export { topicQueryOptions } from "./topic-query-options.js";
export {
  type MutationTools,
  type TopicMutationOptions,
  useTopicMutation,
} from "./use-topic-mutation.js";
export { type TopicQueryOptions, useTopicQuery } from "./use-topic-query.js";
