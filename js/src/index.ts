/** Live updates from a Tidings server: connect, subscribe, and follow. */

export { connect } from "./core/connect.js";
export type { EventData, EventName, TidingsEvent } from "./core/event.js";
export type {
  ConnectionState,
  Reason,
  SubscriptionState,
  TransportName,
} from "./core/machine/values.js";
export { escapeIdentifier, isTopic, userTopic } from "./core/topics.js";
export {
  type ConnectOptions,
  type Debug,
  type EventOf,
  type Gap,
  type Live,
  type Mutation,
  type PublishData,
  type PublishOptions,
  type Register,
  type Status,
  type SubscribeOptions,
  TidingsError,
  type Timing,
  type TopicState,
  type Unsubscribe,
} from "./core/types.js";
