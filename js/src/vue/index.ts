/** Tidings for Vue 3. */

export type { Humane, HumaneOptions, HumaneState, Tone, Words } from "../core/humane.js";
export type { Live, TopicState } from "../core/types.js";
export { type CreateTidingsOptions, createTidings, useTidings } from "./provide.js";
export { type ConnectionStatus, useConnectionStatus } from "./use-connection-status.js";
export { type UseTopicOptions, useTopic } from "./use-topic.js";
export { useTopicReducer } from "./use-topic-reducer.js";
