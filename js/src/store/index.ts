/** Tidings for a store of one's own: Redux, Zustand, Pinia, or none. */

export { type ApplyOptions, applyEvent } from "../sync/apply.js";
export * from "../sync/exports.js";
export {
  createTopicStore,
  type TopicSnapshot,
  type TopicStore,
  type TopicStoreOptions,
} from "./topic-store.js";
