/**
 * A page, an API with a list of gifts behind it, and a connection whose server, network and clock the test moves.
 *
 * The client is the real one (`createTestLive`): its machine, its subscriptions, its recovery. The API answers
 * `latencyMs` after it has been asked, from what was there when it was asked.
 */

import { expect, vi } from "vitest";
import { createTestLive, type TestLive } from "../../src/testing/index.js";

export const TOPIC = "gift-list:1";
export const OTHER_TOPIC = "gift-list:2";

export interface Gift {
  readonly id: string;
  readonly name: string;
  readonly rev: number;
}

/** What a page asks for when it changes a gift. */
export interface Rename {
  readonly id: string;
  readonly name: string;
}

/** How the event of a change stands to the response that the page waits for. */
export type Echo = "before" | "after" | "never" | "reference";

export class Api {
  gifts: readonly Gift[] = [{ id: "kite", name: "kite", rev: 1 }];
  latencyMs = 50;
  /** Whether responses say where they stand. */
  header = true;
  echo: Echo = "before";
  /** Names that the server takes from nobody. */
  readonly refused = new Set<string>();
  /** No answer, and no request that arrives. */
  down = false;
  /** The request arrives, and its answer is lost. */
  losesAnswers = false;
  /** How old the copy is that reads are answered from, in changes. */
  replicaLag = 0;
  reads = 0;
  entityReads = 0;
  aborted = 0;
  /** Each change that was made, in order. */
  readonly made: Rename[] = [];
  readonly requests: { readonly method: string; readonly headers: Headers }[] = [];
  readonly #live: () => TestLive;
  readonly #answers = new Map<string, Response>();
  readonly #past: (readonly Gift[])[] = [];

  constructor(live: () => TestLive) {
    this.#live = live;
  }

  /** Somebody changes a gift; `told: false` leaves the event to the test. */
  change({ id, name }: Rename, traceId?: string, told = true): Gift {
    const before = this.gifts.find((gift) => gift.id === id);
    const after = { id, name, rev: (before?.rev ?? 0) + 1 };
    this.#past.push(this.gifts);
    this.gifts =
      before === undefined
        ? [...this.gifts, after]
        : this.gifts.map((gift) => (gift.id === id ? after : gift));
    this.made.push({ id, name });
    if (told) this.tell(before === undefined ? "ADDED" : "UPDATED", after, traceId);
    return after;
  }

  remove(id: string): void {
    this.#past.push(this.gifts);
    const gone = this.gifts.find((gift) => gift.id === id);
    this.gifts = this.gifts.filter((gift) => gift.id !== id);
    this.tell("DELETED", { id, name: "", rev: (gone?.rev ?? 0) + 1 });
  }

  tell(event: string, gift: Gift, traceId?: string, payload: Gift | null = gift): void {
    const trace = traceId === undefined ? {} : { traceId };
    this.#live().emit(TOPIC, event, payload, { entityId: gift.id, ...trace });
  }

  readonly fetch: typeof fetch = (input, init) => {
    const method = init?.method ?? "GET";
    const headers = new Headers(init?.headers);
    this.requests.push({ method, headers });
    const path = new URL(String(input), "http://localhost").pathname;
    return new Promise((resolve, reject) => {
      init?.signal?.addEventListener("abort", () => {
        this.aborted += 1;
        reject(init.signal?.reason as Error);
      });
      if (this.down) {
        setTimeout(() => reject(new TypeError("Failed to fetch")), this.latencyMs);
        return;
      }
      const answer =
        method === "GET"
          ? this.#read(path)
          : this.#write(JSON.parse(String(init?.body)) as Rename, headers);
      const { losesAnswers } = this;
      setTimeout(() => {
        if (losesAnswers && method !== "GET") reject(new TypeError("Failed to fetch"));
        else resolve(answer());
      }, this.latencyMs);
    });
  };

  #read(path: string): () => Response {
    const one = path.split("/gifts/")[1];
    const cursor = this.#live().cursor(TOPIC);
    const gifts = this.#past.at(-this.replicaLag) ?? this.gifts;
    const found =
      one === undefined
        ? this.replicaLag > 0
          ? gifts
          : this.gifts
        : (this.gifts.find(({ id }) => id === one) ?? null);
    if (one === undefined) this.reads += 1;
    else this.entityReads += 1;
    const headers = this.header ? { "Tidings-Cursor": `${TOPIC}=${cursor}` } : {};
    return () => Response.json(found, { headers });
  }

  #write(rename: Rename, headers: Headers): () => Response {
    const key = headers.get("Idempotency-Key");
    const known = key === null ? undefined : this.#answers.get(key);
    if (known !== undefined) return () => known.clone();
    const answer = this.#made(rename, headers);
    if (key !== null) this.#answers.set(key, answer.clone());
    return () => answer;
  }

  #made(rename: Rename, headers: Headers): Response {
    const before = this.gifts.find(({ id }) => id === rename.id);
    const match = headers.get("If-Match");
    if (match !== null && match !== `"${before?.rev ?? 0}"`)
      return new Response(null, { status: 412 });
    if (this.refused.has(rename.name)) return new Response("no", { status: 409 });
    const traceId = headers.get("traceparent")?.split("-")[1];
    const after = this.change(rename, traceId, this.echo === "before");
    const kind = before === undefined ? "ADDED" : "UPDATED";
    if (this.echo === "after")
      setTimeout(() => this.tell(kind, after, traceId), this.latencyMs + 40);
    if (this.echo === "reference") this.tell(kind, after, traceId, null);
    return Response.json(after, { headers: { ETag: `"${after.rev}"` } });
  }
}

/** The page's text for a list: what a person would read. */
export function textOf(gifts: readonly Gift[] | null | undefined): string {
  return gifts?.map(({ id, name }) => (id === name ? id : `${id}=${name}`)).join(" ") ?? "…";
}

export class Stage {
  readonly live: TestLive;
  readonly api: Api;
  /** Each text that the page has shown, in order: recorded at every commit, not only at every frame. */
  readonly shown: string[] = [];
  commits = 0;
  readonly errors: string[] = [];

  constructor() {
    vi.useFakeTimers({
      toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"],
    });
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    this.api = new Api(() => this.live);
    this.live = createTestLive({ fetch: this.api.fetch, development: false });
  }

  show(gifts: readonly Gift[] | null | undefined): void {
    this.commits += 1;
    const text = textOf(gifts);
    if (this.shown.at(-1) !== text) this.shown.push(text);
  }

  /** The function that fetches the list, as an application writes it. */
  readonly load = async (signal?: AbortSignal): Promise<readonly Gift[]> => {
    const response = await this.live.fetch("http://localhost/gifts", signal ? { signal } : {});
    if (!response.ok) throw new Error(String(response.status));
    return (await response.json()) as readonly Gift[];
  };

  readonly loadOne = async (id: string): Promise<Gift | null> => {
    const response = await this.live.fetch(`http://localhost/gifts/${id}`);
    return (await response.json()) as Gift | null;
  };

  /** The function that changes a gift, as an application writes it. */
  readonly rename = async (
    rename: Rename,
    { fetch }: { fetch: typeof globalThis.fetch },
  ): Promise<Gift> => {
    const body = JSON.stringify(rename);
    const response = await fetch(`http://localhost/gifts/${rename.id}`, { method: "PUT", body });
    if (!response.ok) throw new Error(await response.text());
    return (await response.json()) as Gift;
  };

  /** Let time pass, for the page and for the connection. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 5) {
      this.live.advance(Math.min(5, left));
      await vi.advanceTimersByTimeAsync(Math.min(5, left));
    }
  }

  /** What the page shows in the end is what the API has. */
  expectEqual(): void {
    expect(this.shown.at(-1)).toBe(textOf(this.api.gifts));
  }

  /** The texts that the page has gone through, which never went back to an earlier one. */
  expectNeverBack(from = 0): void {
    const texts = this.shown.slice(from);
    expect(new Set(texts).size, `it went back: ${texts.join(" | ")}`).toBe(texts.length);
  }

  end(): void {
    this.live.close();
    vi.useRealTimers();
    vi.restoreAllMocks();
  }
}

export const optimisticRename = (gifts: readonly Gift[], { id, name }: Rename): readonly Gift[] =>
  gifts.some((gift) => gift.id === id)
    ? gifts.map((gift) => (gift.id === id ? { ...gift, name } : gift))
    : [...gifts, { id, name, rev: 0 }];
