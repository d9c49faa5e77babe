/** What the SDK throws. */

/** An event that could not be published: thrown before anything is sent. */
export class PublishError extends Error {
  override readonly name = "PublishError";

  constructor(
    /** One of `spec/codes.json`. */
    readonly code: string,
    message: string,
    readonly topic: string,
    /** Where the fault is: `data.entity_id`. */
    readonly path: string,
  ) {
    super(`${code}: ${message}`);
  }
}

/** The server said no, and a repeat would not change that. */
export class Refused extends Error {
  override readonly name = "Refused";

  constructor(
    /** One of `spec/codes.json`; `http_<status>` where the answer is no Tidings server's. */
    readonly code: string,
    message: string,
  ) {
    super(`${code}: ${message}`);
  }
}

/** No answer that counts came in time. What was to be published may be stored or not. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";

  constructor(
    why: string,
    /** Of the events in question, in their order: a repeat with them is safe for ten minutes. */
    readonly idempotencyKeys: readonly string[] = [],
  ) {
    const advice =
      idempotencyKeys.length > 0
        ? "; it may be stored, and a repeat with the same idempotency key is safe"
        : "";
    super(`the Tidings server did not answer: ${why}${advice}`);
  }
}

/** A call that cannot be right, whatever the server says. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
