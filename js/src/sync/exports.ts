/** What every binding exports of this folder. */

export type { ChangeOptions, Target } from "./change.js";
export type { CoalesceOptions } from "./coalesce.js";
export { type Conflict, ConflictError, type Decision, type OnConflict } from "./conflict.js";
export type { FollowOptions } from "./follow-options.js";
export { ID, type KeyPattern, type KeyRule, type KeyRules } from "./patterns.js";
export {
  ChangeQueue,
  type ChangeQueueOptions,
  type RefusedChange,
  type WaitingChange,
} from "./queue.js";
export {
  type Apply,
  type EventRules,
  REFETCH,
  type Reaction,
  type Revision,
  type Strategy,
  type Sync,
} from "./rules.js";
export {
  type ChangeStorage,
  indexedDbChanges,
  localStorageChanges,
  memoryChanges,
  type StoredChange,
} from "./storage.js";
export type { ChangeTools } from "./tools.js";
export type { Topics } from "./topics.js";
