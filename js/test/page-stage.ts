/** A real page around a client whose time and sockets are the test's, with what the browser says of it. */
import { afterEach, beforeEach, vi } from "vitest";
import type { Client } from "../src/core/client.js";
import { browserEnvironment } from "../src/core/environment.js";
import type { ConnectOptions, TidingsError } from "../src/core/types.js";
import { settled, World } from "./world.js";

export const T = "gift-list:1";
export const page = {
  visibility: "visible",
  prerendering: false,
  onLine: true,
  connection: network(),
};
export const clients: Client[] = [];

function network() {
  return Object.assign(new EventTarget(), { effectiveType: "4g", saveData: false });
}

beforeEach(() => {
  Object.assign(page, { visibility: "visible", prerendering: false, onLine: true });
  page.connection = network();
  vi.spyOn(document, "visibilityState", "get").mockImplementation(
    () => page.visibility as "hidden",
  );
  Object.defineProperty(document, "prerendering", {
    configurable: true,
    get: () => page.prerendering,
  });
  vi.stubGlobal("navigator", {
    get onLine() {
      return page.onLine;
    },
    get connection() {
      return page.connection;
    },
  });
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** The time and the sockets are the test's; the page is a real one. */
export function world(more: ConstructorParameters<typeof World>[0] = {}): World {
  const { watchPage, page: look } = browserEnvironment();
  return new World({ watchPage, page: look, ...more });
}

export function follow(all: World, options: ConnectOptions = {}) {
  const errors: TidingsError[] = [];
  const client = all.client({ onError: (error) => errors.push(error), ...options });
  clients.push(client);
  const seen: unknown[] = [];
  const gaps: string[] = [];
  client.subscribe(T, ({ cursor }) => seen.push(cursor), {
    onGap: ({ reason }) => gaps.push(reason),
  });
  return { client, seen, gaps, errors };
}

export async function live(all: World, options: ConnectOptions = {}) {
  const followed = follow(all, options);
  await settled();
  all.socket.welcome();
  all.socket.answer("k-10");
  return followed;
}

/** The newest socket is welcomed, and has all that came after the client's position. */
export function recover(all: World, ...cursors: string[]): void {
  all.socket.welcome();
  all.socket.answer();
  for (const cursor of cursors) all.socket.event(T, cursor);
}

export const say = (target: EventTarget, name: string): boolean =>
  target.dispatchEvent(new Event(name));
export function show(visibility: "visible" | "hidden"): void {
  page.visibility = visibility;
  say(document, "visibilitychange");
}
export function pageShow(persisted: boolean): void {
  window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted }));
}
