/**
 * The outside world as the client sees it: time, chance, timers, the page, the network.
 *
 * Everything that the client touches goes through here, so a test can hand in a world of its own.
 */

/** What the page tells the connection machine; each is an input of that name. */
export type PageSignal =
  | "online"
  | "offline"
  | "visible"
  | "hidden"
  | "page_show"
  | "page_hide"
  | "freeze"
  | "thaw"
  | "slow_network"
  | "fast_network"
  | "activated";

/** The part of a WebSocket that is used; Node's `ws` fits as well as the browser's. */
export interface SocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}
export type SocketConstructor = new (url: string) => SocketLike;

export interface Environment {
  /** Milliseconds; only differences count. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  /** So many random bytes, as lower-case hex. */
  randomHex(bytes: number): string;
  /** Run later; what it returns takes it back. */
  timer(ms: number, run: () => void): () => void;
  /** Run when the current task has ended. */
  microtask(run: () => void): void;
  /** Where relative addresses start; null outside a page. */
  readonly base: string | null;
  /** No page and no socket: everything is inert, as on a rendering server. */
  readonly inert: boolean;
  page(): { hidden: boolean; prerendering: boolean; slow?: boolean };
  /** What this session of the browser was told to remember under that name; null where it was not. */
  recall(name: string): string | null;
  remember(name: string, value: string): void;
  /** Tell each signal of the page until the returned clean-up is called. */
  watchPage(tell: (signal: PageSignal) => void): () => void;
  readonly WebSocket: SocketConstructor | undefined;
  readonly fetch: typeof fetch;
}

/** The world of a browser page (or of a worker), with some parts replaced where the application asks. */
export function browserEnvironment(
  replaced: { WebSocket?: SocketConstructor; fetch?: typeof fetch } = {},
): Environment {
  const inPage = typeof window !== "undefined" || "WorkerGlobalScope" in globalThis;
  return {
    now: () => Date.now(),
    random: () => Math.random(),
    randomHex,
    timer: startTimer,
    microtask: (run) => queueMicrotask(run),
    base: typeof location === "undefined" ? null : location.href,
    inert: !inPage && replaced.WebSocket === undefined,
    page: () => ({
      hidden: typeof document !== "undefined" && document.visibilityState === "hidden",
      prerendering: typeof document !== "undefined" && isPrerendering(document),
      slow: isSlowNetwork(),
    }),
    recall,
    remember,
    watchPage,
    WebSocket:
      replaced.WebSocket ??
      (typeof WebSocket === "undefined" ? undefined : (WebSocket as SocketConstructor)),
    // Looked up at each call: tests and instrumentation replace the global one.
    fetch: replaced.fetch ?? ((input, init) => globalThis.fetch(input, init)),
  };
}

/** A browser takes a longer time (24.8 days) for none at all, and runs at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

function startTimer(ms: number, run: () => void): () => void {
  let handle: ReturnType<typeof setTimeout>;
  const wait = (left: number): void => {
    const next = left > TIMEOUT_MS_MAX ? () => wait(left - TIMEOUT_MS_MAX) : run;
    handle = setTimeout(next, Math.min(left, TIMEOUT_MS_MAX));
  };
  wait(ms);
  return () => clearTimeout(handle);
}

function randomHex(bytes: number): string {
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(values, (value) => value.toString(16).padStart(2, "0")).join("");
}

function isPrerendering(page: Document): boolean {
  return (page as { prerendering?: boolean }).prerendering === true;
}

function watchPage(tell: (signal: PageSignal) => void): () => void {
  if (typeof window === "undefined" || typeof document === "undefined") return () => {};
  const undo: (() => void)[] = [];
  const on = (target: EventTarget | undefined, name: string, run: (event: Event) => void): void => {
    target?.addEventListener(name, run);
    undo.push(() => target?.removeEventListener(name, run));
  };
  const tellVisibility = (): void =>
    tell(document.visibilityState === "hidden" ? "hidden" : "visible");
  on(window, "online", () => tell("online"));
  on(window, "offline", () => tell("offline"));
  on(window, "pagehide", () => tell("page_hide"));
  on(window, "pageshow", (event) => {
    if ((event as PageTransitionEvent).persisted) tell("page_show");
  });
  on(document, "visibilitychange", tellVisibility);
  on(document, "freeze", () => tell("freeze"));
  on(document, "resume", () => {
    tell("thaw");
    tellVisibility(); // some browsers do not fire visibilitychange after resume
  });
  if (isPrerendering(document)) on(document, "prerenderingchange", () => tell("activated"));
  on(networkOf(), "change", () => {
    tell(isSlowNetwork() ? "slow_network" : "fast_network");
    tell(navigator.onLine ? "online" : "offline");
  });
  undo.push(watchSleep(() => tell("thaw")));
  return () => {
    for (const one of undo.splice(0)) one();
  };
}

/** What some browsers know of the network: hints, what works decides. */
interface Network extends EventTarget {
  readonly effectiveType?: string;
  readonly saveData?: boolean;
}

function networkOf(): Network | undefined {
  if (typeof navigator === "undefined") return undefined;
  return (navigator as { connection?: Network }).connection;
}

/** What the browser says: slow, or paid by the byte. A hint, where there is one. */
export function isSlowNetwork(): boolean {
  const network = networkOf();
  return network?.saveData === true || /^(slow-)?2g$/.test(network?.effectiveType ?? "");
}

/** Storage may be switched off, and throws then. */
function recall(name: string): string | null {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return null;
  }
}

function remember(name: string, value: string): void {
  try {
    sessionStorage.setItem(name, value);
  } catch {
    // Without a memory each page begins with its first choice.
  }
}

const TICK_MS = 10_000;
/** The timers of a hidden page may be held back for a minute; of a shown one, hardly. */
const JUMP_MS = 5_000;
const JUMP_HIDDEN_MS = 90_000;

/** Tell when the clock has jumped: the machine slept, and its timers with it. */
function watchSleep(tell: () => void): () => void {
  let last = Date.now();
  const handle = setInterval(() => {
    const late = Date.now() - last - TICK_MS;
    last = Date.now();
    if (late > (document.visibilityState === "hidden" ? JUMP_HIDDEN_MS : JUMP_MS)) tell();
  }, TICK_MS);
  return () => clearInterval(handle);
}
