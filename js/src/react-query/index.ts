"use client";
/** Tidings for TanStack Query. */

export { type CoalesceOptions, coalescedRefetch } from "./coalesce.js";
export { REFETCH } from "./follower.js";
export {
  type MutationTools,
  type TopicMutationOptions,
  useTopicMutation,
} from "./use-topic-mutation.js";
export { type TopicQueryOptions, useTopicQuery } from "./use-topic-query.js";
