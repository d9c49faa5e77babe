/** A page with one query, a server with one number, and a clock that the test moves. */

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, type ReactNode, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { vi } from "vitest";
import type { TidingsEvent } from "../src/core/event.js";
import { TidingsProvider } from "../src/react/index.js";
import { World } from "./world.js";

export const TOPIC = "counter:1";
export const KEY: readonly string[] = ["counter"];

/** The endpoint reads when it is asked, and answers `latencyMs` later. */
export class Backend {
  value = 0;
  offset = 0;
  epoch = "k";
  latencyMs = 50;
  /** Whether responses say where they stand (Tidings-Cursor). */
  header = true;
  calls = 0;
  aborted = 0;
  failing = false;

  constructor(readonly world: World) {}

  /** A change, and its event; `tell: false` leaves the event to the test. */
  change({ tell = true, traceId }: { tell?: boolean; traceId?: string } = {}): void {
    this.value += 1;
    this.offset += 1;
    if (tell) this.tell(traceId);
  }

  tell(traceId?: string): void {
    const trace = traceId === undefined ? {} : { trace_id: traceId };
    this.world.socket.event(TOPIC, `${this.epoch}-${this.offset}`, {
      payload: this.value,
      ...trace,
    });
  }

  read(
    note: (response: Response, signal: AbortSignal) => unknown,
    signal: AbortSignal,
  ): Promise<number> {
    const { value, failing } = this;
    const cursor = `${this.epoch}-${this.offset}`;
    this.calls += 1;
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => {
        this.aborted += 1;
        reject(signal.reason as Error);
      });
      setTimeout(() => {
        if (failing) return reject(new Error("500"));
        const headers = this.header ? { "Tidings-Cursor": `${TOPIC}=${cursor}` } : undefined;
        note(new Response(null, headers === undefined ? {} : { headers }), signal);
        resolve(value);
      }, this.latencyMs);
    });
  }
}

export function stage() {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  const world = new World();
  const live = world.client({ onError: () => {} });
  const backend = new Backend(world);
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const host = document.createElement("div");
  const root = createRoot(host);
  /** Each text that the screen has shown, in order. */
  const shown: unknown[] = [];
  return {
    world,
    live,
    backend,
    client,
    shown,
    read: (signal: AbortSignal) => backend.read((r, s) => live.note(r, s), signal),
    show(value: unknown): null {
      if (shown.at(-1) !== value) shown.push(value);
      return null;
    },
    async render(page: ReactNode, strict = false): Promise<void> {
      const whole = (
        <QueryClientProvider client={client}>
          <TidingsProvider client={live}>{page}</TidingsProvider>
        </QueryClientProvider>
      );
      await act(async () => root.render(strict ? <StrictMode>{whole}</StrictMode> : whole));
    },
    /** Let the server accept the connection and answer what was asked for. */
    async connect(): Promise<void> {
      await act(async () => {
        world.socket.welcome();
        world.socket.answer(`${backend.epoch}-${backend.offset}`);
        await vi.advanceTimersByTimeAsync(0);
      });
    },
    /** What the server or the person at the page does. */
    async happens(what: () => void): Promise<void> {
      await act(async () => what());
    },
    async pass(ms: number): Promise<void> {
      await act(async () => {
        await vi.advanceTimersByTimeAsync(ms);
      });
    },
    async end(): Promise<void> {
      await act(async () => root.unmount());
      live.close();
      client.clear();
      vi.useRealTimers();
      vi.restoreAllMocks();
    },
  };
}

export type Stage = ReturnType<typeof stage>;
export const payloadOf = (event: TidingsEvent): number => event.data.payload as number;
