"use client";
/** Tidings for TanStack Query. */

export type { CoalesceOptions } from "../sync/coalesce.js";
export { type Conflict, ConflictError, type Decision, type OnConflict } from "../sync/conflict.js";
export type { FollowOptions } from "../sync/follow-options.js";
export { ID, type KeyPattern, type KeyRule, type KeyRules } from "../sync/patterns.js";
export {
  ChangeQueue,
  type ChangeQueueOptions,
  type RefusedChange,
  type WaitingChange,
} from "../sync/queue.js";
export {
  type Apply,
  type EventRules,
  REFETCH,
  type Reaction,
  type Strategy,
  type Sync,
} from "../sync/rules.js";
export {
  type ChangeStorage,
  indexedDbChanges,
  localStorageChanges,
  memoryChanges,
  type StoredChange,
} from "../sync/storage.js";
export type { Topics } from "../sync/topics.js";
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
