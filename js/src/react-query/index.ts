"use client";
/** Tidings for TanStack Query. */

export type { CoalesceOptions } from "../sync/coalesce.js";
export { type Conflict, ConflictError, type Decision, type OnConflict } from "../sync/conflict.js";
export {
  type Apply,
  type EventRules,
  REFETCH,
  type Reaction,
  type Strategy,
  type Sync,
} from "../sync/rules.js";
export type { Topics } from "../sync/topics.js";
export { coalescedRefetch } from "./coalesced-refetch.js";
export {
  type MutationTools,
  type TopicMutationOptions,
  useTopicMutation,
} from "./use-topic-mutation.js";
export { type FollowOptions, type TopicQueryOptions, useTopicQuery } from "./use-topic-query.js";
