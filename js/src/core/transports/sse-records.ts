/** Reads an event stream: text in, records out, however the network has cut it. */

export interface SseRecord {
  /** `message` where the stream does not name one. */
  readonly event: string;
  readonly data: string;
}

export class SseReader {
  readonly #record: (record: SseRecord) => void;
  readonly #comment: () => void;
  #rest = "";
  #event = "";
  #data: string[] = [];

  /** `comment` is called for each comment: a sign of life. */
  constructor(record: (record: SseRecord) => void, comment: () => void) {
    this.#record = record;
    this.#comment = comment;
  }

  push(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
  }

  #line(line: string): void {
    if (line === "") this.#end();
    else if (line.startsWith(":")) this.#comment();
    else {
      const colon = line.indexOf(":");
      const field = colon === -1 ? line : line.slice(0, colon);
      const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "data") this.#data.push(value);
      else if (field === "event") this.#event = value;
    }
  }

  #end(): void {
    const record = { event: this.#event || "message", data: this.#data.join("\n") };
    const full = this.#data.length > 0;
    this.#event = "";
    this.#data = [];
    if (full) this.#record(record);
  }
}
