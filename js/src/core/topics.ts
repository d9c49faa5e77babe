/** The topic: its grammar, its length, and what a user's id becomes in one. */
import { ErrorCode } from "./codes.js";
import { type Fault, lengthOf, shown } from "./fault.js";

export const TOPIC_LENGTH_MAX = 192;

// Without the flag `m`, `$` is the end of the text and nothing else: a trailing newline does not pass.
const TYPE = /^[a-z0-9][a-z0-9-]{0,63}$/;
const TOPIC = /^[a-z0-9][a-z0-9-]{0,63}(?::[A-Za-z0-9_.@~-]+)+$/;
const WILDCARD = /^[a-z0-9][a-z0-9-]{0,63}:\*$/;
const PLAIN = /^[A-Za-z0-9_.@-]$/;

/** Whether the text is a topic that can be published to. */
export function isTopic(text: string): boolean {
  return text.length <= TOPIC_LENGTH_MAX && TOPIC.test(text);
}

/** Whether the text is `type:*`, the one wildcard that a client may subscribe to. */
export function isWildcard(text: string): boolean {
  return WILDCARD.test(text);
}

/** What stands before the first colon. */
export function topicType(topic: string): string {
  const colon = topic.indexOf(":");
  return colon === -1 ? topic : topic.slice(0, colon);
}

/** An identifier as a topic can hold it: any other character becomes `~XX`, its UTF-8 bytes in upper-case hex. */
export function escapeIdentifier(identifier: string): string {
  let escaped = "";
  for (const character of identifier) {
    escaped += PLAIN.test(character) ? character : escapeCharacter(character);
  }
  return escaped;
}

function escapeCharacter(character: string): string {
  let escaped = "";
  for (const byte of new TextEncoder().encode(character)) {
    escaped += `~${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return escaped;
}

/** The topic of one user, which by default only that user may subscribe to. */
export function userTopic(user: string): string {
  return `user:${escapeIdentifier(user)}`;
}

/** What is wrong with a topic to publish to, or null. */
export function checkTopic(topic: string): Fault | null {
  if (isTopic(topic)) return null;
  const [message, hint] = topicFault(topic);
  return { code: ErrorCode.BAD_TOPIC, path: "topic", message, hint };
}

function topicFault(topic: string): readonly [message: string, hint: string] {
  const length = lengthOf(topic);
  if (length > TOPIC_LENGTH_MAX) {
    return [
      `has ${length} characters, and ${TOPIC_LENGTH_MAX} is the limit`,
      "shorten the identifier",
    ];
  }
  const [type = "", ...segments] = topic.split(":");
  if (segments.length === 0) {
    const example = TYPE.test(type) ? type : "gift-list";
    return [
      `is ${shown(topic)}, without a colon`,
      `write resource-type:identifier, such as "${example}:123"`,
    ];
  }
  if (!TYPE.test(type)) {
    return [
      `has the resource type ${shown(type)}`,
      "use 1 to 64 lower-case letters, digits and hyphens before the first colon, and no hyphen first",
    ];
  }
  if (segments.includes("")) {
    return [
      `is ${shown(topic)}, with nothing after a colon`,
      "give every part at least one character",
    ];
  }
  if (segments.includes("*")) {
    return [
      `is ${shown(topic)}, a wildcard`,
      "publish to one topic; only subscriptions may name type:*",
    ];
  }
  const wrong = [...segments.join("")].find((c) => c !== "~" && !PLAIN.test(c)) ?? "";
  const escaped = `write it as ${escapeCharacter(wrong)}, the bytes of its UTF-8 in upper-case hex`;
  const stray = wrong <= " " ? "take it away, or " : "";
  return [`holds ${shown(wrong)}, which an identifier cannot`, `${stray}${escaped}`];
}
