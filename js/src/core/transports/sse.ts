/**
 * A link over Server-Sent Events, read by `fetch`: so it has headers, a status, and a body to ask with.
 *
 * The stream brings the frames; what the client has to say afterwards goes to the stream's session.
 */

import type { ErrorCode } from "../codes.js";
import type { ClientFrame } from "../frames.js";
import type { RawFrame } from "../machine/values.js";
import {
  errorFrame,
  parseObject,
  post,
  type Refusal,
  refusalOf,
  SIGN_OF_LIFE,
} from "./http-requests.js";
import type { HttpDial } from "./later.js";
import type { Link, LinkEvents } from "./link.js";
import { SseReader, type SseRecord } from "./sse-records.js";

/** The server takes a frame within 15 s; comments in the stream hide one that hangs. */
const POST_MS_MAX = 20_000;
const UNKNOWN_SESSION: ErrorCode = "unknown_session";
/** The machine drops with this code what has not been welcomed in time. */
const TIMEOUT = 4408;
const BUFFERED =
  "The event stream opened, but nothing came through: something in between keeps it back, so polling takes its place. " +
  "Let a proxy pass on the header X-Accel-Buffering: no, or turn its buffering off for this path " +
  "(nginx: proxy_buffering off).";

/** Dial. Throws nothing: what cannot be dialled is lost. */
export function openSse(dial: HttpDial, events: LinkEvents): Link {
  const stream = new Stream(dial, events);
  stream.run();
  return stream;
}

class Stream implements Link {
  readonly #dial: HttpDial;
  readonly #events: LinkEvents;
  readonly #stop = new AbortController();
  #token: string | null;
  #session: string | null = null;
  #opened = false;
  /** Frames go out one after the other, for each is a request of its own. */
  #sent: Promise<void> = Promise.resolve();

  constructor(dial: HttpDial, events: LinkEvents) {
    this.#dial = dial;
    this.#events = events;
    this.#token = dial.token;
  }

  run(): void {
    this.#read().catch(() => this.#end(null));
  }

  send(frame: ClientFrame): void {
    this.#sent = this.#sent.then(() => this.#post(frame)).catch(() => this.#end(null));
  }

  drop(code: number): void {
    if (this.#opened && this.#session === null && code === TIMEOUT) {
      this.#events.warn("stream_buffered", BUFFERED);
    }
    this.#stop.abort();
  }

  async #read(): Promise<void> {
    const { subscribe } = this.#dial;
    const { signal } = this.#stop;
    const response = await post(this.#dial, "sse?ids=0", subscribe, this.#token, signal);
    if (!response.ok) return this.#refused(await refusalOf(response));
    const type = response.headers.get("Content-Type") ?? "";
    // A portal answers everything with a page of its own.
    if (response.body === null || !type.startsWith("text/event-stream")) return this.#end(null);
    this.#opened = true;
    const reader = new SseReader(
      (record) => this.#record(record),
      () => this.#tell(SIGN_OF_LIFE),
    );
    const decoder = new TextDecoder();
    const chunks = response.body.getReader();
    for (;;) {
      const { done, value } = await chunks.read();
      if (done) return this.#end(null);
      if (signal.aborted) return;
      reader.push(decoder.decode(value, { stream: true }));
    }
  }

  #record({ event, data }: SseRecord): void {
    const value = parseObject(data);
    if (event === "close") {
      this.#end(typeof value?.code === "number" ? value.code : null);
    } else if (event === "message") {
      if (value?.type === "welcome" && typeof value.session === "string") {
        this.#session = value.session;
      }
      this.#tell(value);
    }
  }

  async #post(frame: ClientFrame): Promise<void> {
    if (this.#session === null || this.#stop.signal.aborted) return;
    if (frame.type === "auth") this.#token = frame.token;
    const path = `session/${encodeURIComponent(this.#session)}`;
    const settled = this.#dial.environment.timer(POST_MS_MAX, () => this.#end(null));
    const sent = post(this.#dial, path, frame, this.#token, this.#stop.signal);
    const response = await sent.finally(settled);
    if (response.ok) return;
    const refusal = await refusalOf(response);
    if (frame.type === "ping" && response.status !== 404) {
      // The stream was in doubt, and this answer did not come over it: it must not pass for a sign of life.
      return this.#end(refusal.closeCode);
    }
    // Whoever says it: a path that is not there will not be there the next time, but a new stream needs it less.
    const code = response.status === 404 ? UNKNOWN_SESSION : refusal.code;
    this.#tell(errorFrame({ ...refusal, code }, frame.id));
  }

  #refused(refusal: Refusal): void {
    // Before `welcome` an error only says how long to wait.
    this.#tell(errorFrame(refusal));
    this.#end(refusal.closeCode);
  }

  #tell(frame: RawFrame | null): void {
    if (!this.#stop.signal.aborted) this.#events.frame(frame);
  }

  #end(code: number | null): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#events.lost(code);
  }
}
