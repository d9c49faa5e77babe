/**
 * The engine of a client that shares one connection with the other tabs of the browser (`share: "tabs"`).
 *
 * First it is asked whose credentials this tab has; then the tab joins the group of that user. Where the server
 * cannot be asked, the tab has a connection of its own, and joins when that says who it is.
 */

import { createWire, Driver, type Told, type Wire } from "../driver.js";
import type { Engine, EngineOptions, View } from "../engine.js";
import type { Environment, PageSignal } from "../environment.js";
import { Machine } from "../machine/machine.js";
import { DEFAULTS, type Input, type PublishRequest, type Reason } from "../machine/values.js";
import { identify, identityOf } from "./identify.js";
import { Membership } from "./membership.js";
import { Punctual } from "./punctual.js";
import { Seat } from "./seat.js";
import type { Wish } from "./values.js";
import { ALONE, BROWSER, type TabWorld } from "./world.js";

/** The messages and rules of this version; tabs of another do not share with these. */
const VERSION = 1;
/** A tab that was frozen or comes late is served from the leader's memory: as much as a server's, and no request. */
const BUFFER = { buffer_ms: 300_000, buffer_events: 1_000 };
/** A server that names another user on WebSocket than on an event stream cannot be shared. */
const SCATTERS_MAX = 3;

type Identify = typeof identify;

export function openShared(
  options: EngineOptions,
  world: TabWorld = BROWSER,
  ask: Identify = identify,
): Engine {
  return new Shared(options, world, ask);
}

class Shared implements Engine {
  readonly #options: EngineOptions;
  readonly #world: TabWorld;
  readonly #ask: Identify;
  readonly #timers: Punctual;
  readonly #seat: Seat;
  /** The group that this tab is in, or itself alone. */
  #place: { membership: Membership; identity: string | null } | null = null;
  /** Numbers the questions whose credentials these are: only the answer to the last one counts. */
  #asking = 0;
  /** How often the group turned out to be another user's; at SCATTERS_MAX this tab stays alone. */
  #scatters = 0;
  #state: "asleep" | "awake" | "held" | "closed" = "asleep";
  #unwatch: (() => void) | null = null;
  #hidden = false;
  #prerendering = false;
  /** Of all that extensions may want to say, presence is what several tabs can say over one connection. */
  readonly wire: Wire = createWire((frame) => {
    if (frame.type === "presence") this.#wish({ input: "presence", frame });
  });

  constructor(options: EngineOptions, world: TabWorld, ask: Identify) {
    const { environment, settings, tell } = options;
    this.#options = options;
    this.#world = world;
    this.#ask = ask;
    this.#timers = new Punctual(() => environment.now(), environment.timer);
    const keepMs = settings.cursor_keep_ms ?? DEFAULTS.cursor_keep_ms;
    this.#seat = new Seat({ tell, hear: (frame) => this.wire.hear(frame), keepMs });
  }

  get view(): View {
    return {
      generation: this.#place?.membership.generation ?? 0,
      topic: (name) => this.#seat.topic(name),
      topics: () => this.#seat.topics(),
    };
  }

  feed(input: Input): void {
    if (this.#state === "closed") {
      if (input.input === "publish") this.#settleClosed(input);
      return;
    }
    if (this.#unwatch === null) this.#watch();
    switch (input.input) {
      case "subscribe":
        this.#subscribe(input);
        break;
      case "unsubscribe": {
        const { subscriber } = input;
        this.#seat.unsubscribe(subscriber, this.#now());
        this.#wish({ input: "unsubscribe", subscriber });
        break;
      }
      case "publish":
        this.#publish(input);
        break;
      case "reconnect":
        this.#reconnect();
        break;
      case "reauth":
        if (this.#state === "awake") this.#identify(true);
        break;
      case "pause":
        this.#hold("paused");
        break;
      case "resume":
        if (this.#state === "held") this.#wake();
        break;
      case "close":
        this.#close();
    }
  }

  end(): void {
    this.#unwatch?.();
  }

  #now(): number {
    return this.#options.environment.now();
  }

  #subscribe({ subscriber, topics, since = {} }: Extract<Input, { input: "subscribe" }>): void {
    if (topics.length === 0) return;
    const lease = this.#seat.subscribe(subscriber, topics, since, this.#now());
    this.#wish({ input: "subscribe", ...lease });
    this.#wakeIfWanted();
  }

  #publish({ input: _, ...request }: Extract<Input, { input: "publish" }>): void {
    const seat = this.#seat;
    seat.publish(request, this.#now());
    if (this.#place?.membership.attached === true) this.#wish({ input: "publish", ...request });
    else {
      this.#wakeIfWanted();
      const refuse = (): void => {
        if (this.#place?.membership.attached !== true) {
          seat.refusePublishes("not_connected", this.#now());
        }
      };
      if (request.queue_ms) this.#timers.timer(request.queue_ms, refuse);
      else refuse();
    }
  }

  #reconnect(): void {
    const blocked = this.#seat.status?.state === "blocked";
    if (this.#state !== "awake") this.#wake();
    // The leader's credentials were refused; this tab's may be newer.
    else if (blocked && this.#place?.membership.leads === false) this.#place.membership.see("take");
    else this.#wish({ input: "reconnect" });
  }

  #wish(wish: Wish): void {
    const number = this.#seat.number(wish);
    this.#place?.membership.wish(wish, number);
  }

  #wakeIfWanted(): void {
    if (this.#state === "asleep" && this.#seat.wanted) this.#wake();
  }

  #wake(): void {
    if (this.#prerendering) return;
    this.#state = "awake";
    const { status } = this.#seat;
    const again = status !== null && status.state !== "idle";
    this.#seat.setStatus({ state: again ? "reconnecting" : "connecting", reason: null });
    this.#identify(false);
  }

  /** Find out whose credentials these are, and be where they belong. */
  #identify(force: boolean): void {
    this.#asking += 1;
    const asking = this.#asking;
    this.#ask(this.#options, force).then((identity) => {
      if (asking !== this.#asking || this.#state !== "awake") return;
      if (this.#place === null || (identity !== null && identity !== this.#place.identity)) {
        this.#join(identity);
      } else if (force && this.#seat.status?.state === "blocked") this.#reconnect();
      else if (force) this.#wish({ input: "reauth" });
    });
  }

  /** Take part in the group of that identity; with none, alone. */
  #join(identity: string | null): void {
    this.#leave();
    const { url, environment } = this.#options;
    const address = environment.base === null ? url : new URL(url, environment.base).href;
    const alone = identity === null || this.#scatters >= SCATTERS_MAX;
    const membership = new Membership({
      name: `tidings ${VERSION} ${address} ${identity}`,
      tab: environment.randomHex(8),
      world: alone ? ALONE : this.#world,
      environment,
      timers: this.#timers,
      seat: this.#seat,
      visible: () => !this.#hidden,
      open: (tell) => this.#open(tell, identity),
      detached: () => this.#detached(),
      failed: () => {
        this.#scatters = SCATTERS_MAX;
        this.#join(identity);
      },
      scattered: () => this.#scatter(),
    });
    this.#place = { membership, identity };
  }

  #leave(): void {
    const place = this.#place;
    this.#place = null;
    place?.membership.leave();
  }

  #detached(): void {
    this.#seat.detach(this.#now());
    if (this.#seat.status?.state === "live") {
      this.#seat.setStatus({ state: "reconnecting", reason: "lost" });
    }
  }

  /** The connection itself, where this tab leads. */
  #open(tell: (effect: Told) => void, identity: string | null): Driver {
    const { settings, ...options } = this.#options;
    const machine = new Machine({ ...settings, ...BUFFER, hidden: false, prerendering: false });
    const environment = this.#hostEnvironment();
    const isForeign = (found: string): boolean => {
      if (found === identity || this.#scatters >= SCATTERS_MAX) return false;
      queueMicrotask(() => this.#onForeign(found, identity));
      return true;
    };
    return new Watched({ ...options, environment, machine, tell }, isForeign);
  }

  /** The connection has another user than the group, or, alone, says for the first time whose it is. */
  #onForeign(found: string, identity: string | null): void {
    if (this.#place?.identity !== identity || this.#state !== "awake") return;
    if (identity === null) this.#join(found);
    else {
      this.#place.membership.tellOthers({ kind: "scatter", tab: "" });
      this.#scatter();
    }
  }

  #scatter(): void {
    if (this.#state !== "awake" || this.#place === null) return;
    this.#scatters += 1;
    this.#leave();
    this.#identify(false);
  }

  /** The page is told by the tabs together, and timers run in time where one of them is looked at. */
  #hostEnvironment(): Environment {
    return {
      ...this.#options.environment,
      timer: this.#timers.timer,
      page: () => ({
        hidden: false,
        prerendering: false,
        slow: this.#options.environment.page().slow ?? false,
      }),
      watchPage: () => () => {},
    };
  }

  #watch(): void {
    const { environment } = this.#options;
    this.#unwatch = () => {};
    const { hidden, prerendering } = environment.page();
    this.#hidden = hidden;
    this.#prerendering = prerendering;
    this.#unwatch = environment.watchPage((signal) => this.#onPage(signal));
  }

  #onPage(signal: PageSignal): void {
    switch (signal) {
      case "visible":
      case "hidden":
        this.#hidden = signal === "hidden";
        this.#place?.membership.see(signal);
        this.#wish({ input: signal });
        break;
      case "freeze":
        this.#hold("frozen");
        break;
      case "page_hide":
        this.#hold("page_hidden");
        break;
      case "activated":
        this.#prerendering = false;
        this.#wakeIfWanted();
        break;
      case "thaw":
      case "page_show":
        this.#hidden = this.#options.environment.page().hidden;
        if (this.#state === "held" && this.#seat.status?.reason !== "paused") this.#wake();
        else this.#place?.membership.feed({ input: signal });
        break;
      default:
        this.#place?.membership.feed({ input: signal });
    }
  }

  /** Hold still: another tab leads meanwhile. */
  #hold(reason: Reason): void {
    if (this.#state !== "awake") return;
    this.#state = "held";
    this.#leave();
    this.#seat.setStatus({ state: "paused", reason });
  }

  #close(): void {
    this.#state = "closed";
    this.#leave();
    this.#seat.refusePublishes("closed", this.#now(), true);
    this.#seat.setStatus({ state: "closed", reason: null });
  }

  #settleClosed({ request }: PublishRequest): void {
    this.#options.tell({ effect: "settle", request, error: { code: "closed" } });
  }
}

/** A connection that is looked at before it is believed: whose is it? */
class Watched extends Driver {
  readonly #isForeign: (identity: string) => boolean;

  constructor(
    options: ConstructorParameters<typeof Driver>[0],
    isForeign: (identity: string) => boolean,
  ) {
    super(options);
    this.#isForeign = isForeign;
  }

  override feed(input: Input): void {
    if (input.input === "frame" && input.frame?.type === "welcome") {
      const identity = identityOf(input.frame);
      // Not a word of a stranger's goes on.
      if (identity !== null && this.#isForeign(identity)) return;
    }
    super.feed(input);
  }
}
