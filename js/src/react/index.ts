"use client";
/** Tidings for React. */

export type { Humane, HumaneOptions, HumaneState, Tone, Words } from "../core/humane.js";
export type { Live, TopicState } from "../core/types.js";
export { ConnectionBadge, type ConnectionBadgeProps } from "./connection-badge.js";
export { TidingsProvider, type TidingsProviderProps, useTidings } from "./provider.js";
export {
  type ConnectionStatus,
  type UseConnectionStatusOptions,
  useConnectionStatus,
} from "./use-connection-status.js";
export { type PresenceResult, usePresence } from "./use-presence.js";
export { type UseTopicOptions, useTopic } from "./use-topic.js";
