/** `<tidings-status>`: how the connection is, as a badge and, with the attribute `banner`, as an offline banner. */

import { connect } from "../core/connect.js";
import { ASLEEP, type Humane, type HumaneState, HumaneStatus, type Words } from "../core/humane.js";
import type { Live } from "../core/types.js";
import { STYLE } from "./status-style.js";

/** All that the element says, for other languages. */
export interface StatusWords extends Words {
  retry: string;
  /** The same where pressing it fetches anew. */
  refresh: string;
  signInLabel: string;
  /** In the badge, while the banner says the rest. */
  offlineShort: string;
  refreshingShort: string;
  actionNeededShort: string;
  /** One change waits for the network, or `{count}` do. */
  waitingOne: string;
  waitingMany: string;
}

const OWN_WORDS = {
  retry: "Try now",
  refresh: "Refresh now",
  signInLabel: "Sign in",
  offlineShort: "Offline",
  refreshingShort: "Refreshing",
  actionNeededShort: "Not live",
  waitingOne: "Your change is kept and will be sent.",
  waitingMany: "Your {count} changes are kept and will be sent.",
};

/** Told apart by shape and text, not by colour alone. */
const SHAPES: Readonly<Record<HumaneState, string>> = {
  quiet: "●",
  back: "●",
  connecting: "◐",
  reconnecting: "◐",
  paused: "◐",
  refreshing: "◐",
  offline: "▲",
  action_needed: "▲",
};
const IN_BANNER: ReadonlySet<HumaneState> = new Set(["offline", "action_needed", "refreshing"]);

const MARKUP = `
<span class="badge" part="badge">
  <span class="shape" part="shape" aria-hidden="true"></span>
  <span class="text" part="text" aria-hidden="true"></span>
  <button type="button" part="action" hidden></button>
</span>
<div class="banner" part="banner" hidden>
  <span class="shape" part="banner-shape" aria-hidden="true"></span>
  <span class="text" part="banner-text" aria-hidden="true"></span>
  <button type="button" part="banner-action" hidden></button>
</div>
<span class="announcement" part="announcement" role="status" aria-live="polite" aria-atomic="true"></span>
`;

/** On a rendering server there are no elements; the module can be imported there all the same. */
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

/**
 * The element. Attributes: `banner`, `sign-in` (there is something to do about "Please sign in"), `quiet-ms` and
 * `waiting` (changes that wait for the network). Events: `tidings-sign-in`, `tidings-retry`.
 */
export class TidingsStatus extends Base {
  static readonly observedAttributes: readonly string[] = [
    "banner",
    "sign-in",
    "quiet-ms",
    "waiting",
  ];
  readonly #root: ShadowRoot;
  #client: Live | null = null;
  #words: Partial<StatusWords> = {};
  #status: HumaneStatus | null = null;
  #off: (() => void) | null = null;

  constructor() {
    super();
    this.#root = this.attachShadow({ mode: "open" });
    this.#root.adoptedStyleSheets = [sheet()];
    this.#root.innerHTML = MARKUP;
    for (const button of this.#root.querySelectorAll("button")) {
      button.addEventListener("click", () => this.#act());
    }
    this.#render();
  }

  /** Whose connection; without one, the page's default client. */
  get client(): Live | null {
    return this.#client;
  }

  set client(client: Live | null) {
    if (client === this.#client) return;
    this.#client = client;
    this.#follow();
  }

  get words(): Partial<StatusWords> {
    return this.#words;
  }

  set words(words: Partial<StatusWords> | null) {
    this.#words = words ?? {};
    this.#follow();
  }

  /** How many changes wait for the network: the banner says that they are kept. */
  get waiting(): number {
    return Number(this.getAttribute("waiting")) || 0;
  }

  set waiting(count: number) {
    this.setAttribute("waiting", String(count));
  }

  /** What is shown now. */
  get status(): Humane {
    return this.#status?.get() ?? ASLEEP;
  }

  connectedCallback(): void {
    // A property that was set before the element was defined stands in the way of its setter.
    for (const name of ["client", "words", "waiting"] as const) {
      if (!Object.hasOwn(this, name)) continue;
      const given = this[name];
      delete (this as Partial<Record<typeof name, unknown>>)[name];
      Object.assign(this, { [name]: given });
    }
    this.#follow();
  }

  disconnectedCallback(): void {
    this.#off?.();
    this.#off = null;
  }

  attributeChangedCallback(name: string): void {
    if (name === "quiet-ms") this.#follow();
    else this.#render();
  }

  #follow(): void {
    this.#off?.();
    this.#off = null;
    if (!this.isConnected) return;
    const quietMs = Number(this.getAttribute("quiet-ms"));
    const options = { words: this.#words, ...(quietMs > 0 ? { quietMs } : {}) };
    this.#status = new HumaneStatus(this.#client ?? connect(), options);
    this.#off = this.#status.subscribe(() => this.#render());
    this.#render();
  }

  #act(): void {
    const { action } = this.status;
    const name = action === "sign_in" ? "tidings-sign-in" : "tidings-retry";
    const event = new CustomEvent(name, { bubbles: true, composed: true, cancelable: true });
    if (this.dispatchEvent(event) && action === "retry") (this.#client ?? connect()).reconnect();
  }

  #render(): void {
    const status = this.status;
    const { state, tone, announcement, detail } = status;
    const inBanner = this.hasAttribute("banner") && IN_BANNER.has(state);
    const badge = this.#part("badge");
    const banner = this.#part("banner");
    for (const part of [badge, banner]) {
      part.dataset.state = state;
      part.dataset.tone = tone;
    }
    badge.title = detail;
    this.#say("shape", SHAPES[state]);
    this.#say("text", inBanner ? this.#short(state) : status.text);
    this.#offer("action", inBanner ? null : status);
    banner.hidden = !inBanner;
    this.#say("banner-shape", SHAPES[state]);
    this.#say("banner-text", this.#sentence(status));
    this.#offer("banner-action", inBanner ? status : null);
    const whole = inBanner ? this.#sentence(status) : announcement;
    this.#say("announcement", announcement === "" ? "" : whole);
  }

  #sentence({ state, text }: Humane): string {
    const { waiting } = this;
    if (state !== "offline" || waiting <= 0) return text;
    const words = { ...OWN_WORDS, ...this.#words };
    const kept = waiting === 1 ? words.waitingOne : words.waitingMany;
    return `${text} ${kept.replace("{count}", String(waiting))}`;
  }

  #short(state: HumaneState): string {
    const words = { ...OWN_WORDS, ...this.#words };
    if (state === "offline") return words.offlineShort;
    return state === "refreshing" ? words.refreshingShort : words.actionNeededShort;
  }

  #offer(name: string, status: Humane | null): void {
    const button = this.#part(name);
    const words = { ...OWN_WORDS, ...this.#words };
    const action = status?.action ?? null;
    button.hidden = action === null || (action === "sign_in" && !this.hasAttribute("sign-in"));
    const retry = status?.state === "refreshing" ? words.refresh : words.retry;
    this.#say(name, action === "sign_in" ? words.signInLabel : retry);
  }

  /** Text that stays the same is not touched: nothing flickers, and nothing is read out twice. */
  #say(name: string, text: string): void {
    const part = this.#part(name);
    if (part.textContent !== text) part.textContent = text;
  }

  #part(name: string): HTMLElement {
    return this.#root.querySelector(`[part="${name}"]`) as HTMLElement;
  }
}

let shared: CSSStyleSheet | null = null;

/** One sheet for all elements; unlike a `<style>`, a strict Content-Security-Policy lets it through. */
function sheet(): CSSStyleSheet {
  if (shared === null) {
    shared = new CSSStyleSheet();
    shared.replaceSync(STYLE);
  }
  return shared;
}
