/**
 * A link over Server-Sent Events, read by `fetch`: so it has headers, a status, and a body to ask with.
 *
 * The stream brings the frames; what the client has to say afterwards goes to the stream's session.
 */

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

/** Another worker has the session: a new stream is opened within this time, with all positions. */
const MOVE_MS = 1_000;

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

  drop(): void {
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
    const response = await post(this.#dial, path, frame, this.#token, this.#stop.signal);
    if (response.status === 404) {
      this.#tell({ type: "reconnect", topic: "system", delay_ms: MOVE_MS });
    } else if (!response.ok) {
      this.#tell(errorFrame(await refusalOf(response), frame.id));
    }
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
