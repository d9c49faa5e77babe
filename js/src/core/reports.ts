/** What the client says to developers, in words: once, short, and with what to do. */

import { TidingsError } from "./types.js";

const SENTENCES: Readonly<Record<string, string>> = {
  disconnected: "The connection is lost or could not be made; it is tried again in growing pauses.",
  failed: "No connection after the given number of attempts; call reconnect() to try again.",
  blocked:
    "The server refuses this connection; it is not tried again until reconnect() or reauth().",
  not_connected: "There is no connection; publish again later, or give queueMs.",
  connection_lost:
    "The connection broke before the answer; whether it was published is unknown: a repeat with the same idempotencyKey is published once.",
  timeout:
    "No answer came in time; whether it was published is unknown: a repeat with the same idempotencyKey is published once.",
  closed: "The client is closed.",
  handler_failed: "A handler threw; the others were called.",
  payload_too_large:
    "The event is larger than the server takes; publish a reference (payload null).",
  permission_changed: "The right to the topic was withdrawn.",
};

/** An error whose words are the server's, or else ours. */
export function explain(
  code: string,
  message?: string,
  topic: string | null = null,
  cause?: unknown,
): TidingsError {
  const said = message ?? SENTENCES[code] ?? `The server answered ${code}.`;
  return new TidingsError(code, topic === null ? said : `${topic}: ${said}`, topic, cause);
}

/** To the application where it listens, else to the console. Never throws. */
export function tell(
  error: TidingsError,
  level: "warn" | "error",
  onError: ((error: TidingsError) => void) | undefined,
): void {
  try {
    if (onError !== undefined) onError(error);
    // biome-ignore lint/suspicious/noConsole: the developer's only way to hear of it.
    else console[level](`[tidings] ${error.code}: ${error.message}`, ...causes(error));
  } catch {
    // A failing listener for failures has nobody to be told to.
  }
}

function causes(error: TidingsError): unknown[] {
  return error.cause === undefined ? [] : [error.cause];
}
