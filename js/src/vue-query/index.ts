/** Tidings for TanStack Query in Vue. */

export * from "../sync/exports.js";
export { bindQueryClient } from "./bind-query-client.js";
export {
  type QueuedMutationOptions,
  queuedMutation,
  useWaitingChanges,
} from "./queued-mutation.js";
export { type TopicMutationOptions, useTopicMutation } from "./use-topic-mutation.js";
export { type TopicQueryOptions, useTopicQuery } from "./use-topic-query.js";
