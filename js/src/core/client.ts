/** The client that the application holds. */

import { memoryKey, type Told, type Wire } from "./driver.js";
import { type Engine, openEngine } from "./engine.js";
import type { Environment } from "./environment.js";
import { Http, newTrace } from "./http.js";
import type { MachineOptions } from "./machine/values.js";
import { explain, tell } from "./reports.js";
import { Subscribers } from "./subscribers.js";
import type {
  ConnectOptions,
  Debug,
  EventOf,
  Live,
  Mutation,
  PublishData,
  PublishOptions,
  Status,
  SubscribeOptions,
  TopicState,
  Unsubscribe,
} from "./types.js";

const DEFAULT_URL = "/realtime";
const TRANSPORTS = ["websocket", "sse", "poll"] as const;
const STATES: { readonly [S in TopicState["state"]]: TopicState } = {
  idle: freezeState("idle"),
  subscribing: freezeState("subscribing"),
  live: freezeState("live"),
  stale: freezeState("stale"),
  denied: freezeState("denied"),
};
const SEEKING: ReadonlySet<string> = new Set(["connecting", "reconnecting", "failed"]);
const UNREACHABLE: ReadonlySet<string> = new Set(["blocked", "failed", "closed"]);

type StatusEffect = Extract<Told, { effect: "status" }>;
type Settle = { resolve: (value: { cursor: string }) => void; reject: (error: Error) => void };

export class Client implements Live {
  readonly #environment: Environment;
  readonly #engine: Engine;
  readonly #http: Http;
  readonly #subscribers: Subscribers;
  readonly #listeners = new Set<(status: Status) => void>();
  readonly #settles = new Map<number, Settle>();
  readonly #denied = new WeakMap<object, TopicState>();
  #options: ConnectOptions;
  #status: Status;
  #nextNumber = 1;
  readonly fetch: typeof fetch;
  readonly wire: Wire;

  constructor(options: ConnectOptions, environment: Environment) {
    this.#options = options;
    this.#environment = environment;
    const url = options.url ?? DEFAULT_URL;
    const engine = {
      url,
      environment,
      settings: machineOptions(options, environment),
      auth: () => this.#options.auth,
      tell: (effect: Told) => this.#tell(effect),
    };
    this.#engine = openEngine(engine, options.share === "tabs");
    this.wire = this.#engine.wire;
    this.#http = new Http(environment, url, () => this.#mark("fetchedAt"));
    this.fetch = this.#http.fetch;
    this.#subscribers = new Subscribers((cause, topic) =>
      tell(explain("handler_failed", undefined, topic, cause), "error", this.#options.onError),
    );
    this.#status = Object.freeze({
      state: "idle",
      transport: null,
      refetching: false,
      fetchedAt: null,
      askedAt: null,
      since: environment.now(),
      everLive: false,
      lastLiveAt: null,
      attempt: 0,
      nextTryAt: null,
      reason: null,
      code: null,
    });
  }

  /** Functions of the application that a reloaded module has made anew. */
  adopt(options: ConnectOptions): void {
    this.#options = { ...this.#options, ...options };
  }

  subscribe<const T extends string>(
    topics: T | readonly T[],
    handler: (event: EventOf<T>) => void,
    options: SubscribeOptions = {},
  ): Unsubscribe {
    const names: readonly string[] = typeof topics === "string" ? [topics] : [...topics];
    const id = this.#nextNumber++;
    this.#subscribers.add(id, names, {
      handler: handler as (event: EventOf<string>) => void,
      options,
    });
    const since = sinceByTopic(names, options.since);
    this.#engine.feed({
      input: "subscribe",
      subscriber: id,
      topics: names,
      ...(since ? { since } : {}),
    });
    return () => {
      if (this.#subscribers.remove(id)) this.#engine.feed({ input: "unsubscribe", subscriber: id });
    };
  }

  publish(
    topic: string,
    event: string,
    data: PublishData,
    options: PublishOptions = {},
  ): Promise<{ cursor: string }> {
    const request = this.#nextNumber++;
    return new Promise((resolve, reject) => {
      this.#settles.set(request, { resolve, reject });
      this.#engine.feed({
        input: "publish",
        request,
        topic,
        event,
        data: { payload: null, ...data },
        trace_id: options.traceId ?? newTrace(this.#environment).traceId,
        idempotency_key: options.idempotencyKey ?? this.#environment.randomHex(16),
        queue_ms: options.queueMs ?? 0,
        ...(options.version === undefined ? {} : { version: options.version }),
      });
      if (this.#environment.inert) this.#settle(request, { code: "not_connected" });
    });
  }

  get status(): Status {
    return this.#status;
  }

  onStatus(listener: (status: Status) => void): Unsubscribe {
    const own = (status: Status): void => listener(status);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  topicState(name: string): TopicState {
    const topic = this.#engine.view.topic(name);
    if (topic === null) return STATES.idle;
    if (topic.error === null || topic.state !== "denied") return STATES[topic.state];
    const known = this.#denied.get(topic.error);
    if (known !== undefined) return known;
    const state = freezeState("denied", topic.error);
    this.#denied.set(topic.error, state);
    return state;
  }

  position(topic: string): string | null {
    return this.#engine.view.topic(topic)?.cursor ?? null;
  }

  reconnect(): void {
    this.#engine.feed({ input: "reconnect" });
    this.#mark("askedAt");
  }

  reauth(): void {
    this.#engine.feed({ input: "reauth" });
  }

  pause(): void {
    this.#engine.feed({ input: "pause" });
  }

  resume(): void {
    this.#engine.feed({ input: "resume" });
  }

  close(): void {
    this.#engine.feed({ input: "close" });
    this.#engine.end();
    this.#subscribers.clear();
  }

  ready(options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      let off: Unsubscribe = () => {};
      const aborted = (): void => settle(() => reject(signal?.reason as Error));
      const settle = (end: () => void): void => {
        off();
        signal?.removeEventListener("abort", aborted);
        end();
      };
      const look = ({ state }: Status): boolean => {
        if (state === "live") settle(resolve);
        else if (UNREACHABLE.has(state)) settle(() => reject(explain(state)));
        else return false;
        return true;
      };
      if (signal?.aborted === true) return aborted();
      if (look(this.#status)) return;
      off = this.onStatus(look);
      signal?.addEventListener("abort", aborted);
    });
  }

  note(
    response: { readonly headers: { get(name: string): string | null } },
    signal?: AbortSignal | null,
  ): Readonly<Record<string, string>> {
    return this.#http.note(response, signal);
  }

  cursorsOf(signal: AbortSignal): Readonly<Record<string, string>> | null {
    return this.#http.cursorsOf(signal);
  }

  mutation(): Mutation {
    return newTrace(this.#environment);
  }

  debug(): Debug {
    return {
      status: this.#status,
      generation: this.#engine.view.generation,
      subscribers: this.#subscribers.size,
      topics: this.#engine.view.topics(),
    };
  }

  #tell(effect: Told): void {
    switch (effect.effect) {
      case "status":
        this.#setStatus(effect);
        break;
      case "topic":
        this.#subscribers.state(effect.topic, this.topicState(effect.topic));
        break;
      case "deliver":
        this.#subscribers.deliver(effect);
        break;
      case "gap":
        this.#subscribers.gap(effect);
        break;
      case "settle":
        this.#settle(effect.request, "error" in effect ? effect.error : effect.cursor);
        break;
      case "report":
        tell(
          explain(effect.code, effect.message, effect.topic),
          effect.level,
          this.#options.onError,
        );
    }
  }

  #setStatus(effect: StatusEffect): void {
    const { state, reason, code, attempt, wait_ms: wait, transport, refetching } = effect;
    const before = this.#status;
    const now = this.#environment.now();
    this.#status = Object.freeze({
      state,
      transport,
      refetching,
      fetchedAt: SEEKING.has(state) ? before.fetchedAt : null,
      askedAt: refetching ? before.askedAt : null,
      since: state === before.state ? before.since : now,
      everLive: before.everLive || state === "live",
      lastLiveAt: state === "live" ? null : before.state === "live" ? now : before.lastLiveAt,
      attempt,
      nextTryAt: wait === null ? null : now + wait,
      reason,
      code,
    });
    this.#tellStatus();
  }

  /** There is no connection: the page can fetch nevertheless, or, where no transport is left, is to fetch now. */
  #mark(what: "fetchedAt" | "askedAt"): void {
    const { state, refetching } = this.#status;
    if (what === "askedAt" ? !refetching : !SEEKING.has(state)) return;
    this.#status = Object.freeze({ ...this.#status, [what]: this.#environment.now() });
    this.#tellStatus();
  }

  #tellStatus(): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(this.#status);
      } catch (cause) {
        tell(explain("handler_failed", undefined, null, cause), "error", this.#options.onError);
      }
    }
  }

  #settle(request: number, result: string | { code: string; message?: string }): void {
    const settle = this.#settles.get(request);
    this.#settles.delete(request);
    if (typeof result === "string") settle?.resolve({ cursor: result });
    else settle?.reject(explain(result.code, result.message));
  }
}

function freezeState(state: TopicState["state"], error: TopicState["error"] = null): TopicState {
  return Object.freeze({ state, error });
}

function sinceByTopic(
  topics: readonly string[],
  since: SubscribeOptions["since"],
): Record<string, string | null | undefined> | null {
  if (since === null || since === undefined) return null;
  if (typeof since !== "string") return since;
  return Object.fromEntries(topics.map((topic) => [topic, since]));
}

function machineOptions(
  options: ConnectOptions,
  environment: Environment,
): Partial<MachineOptions> {
  const { transports = TRANSPORTS } = options;
  const memory = environment.recall(memoryKey(options.url ?? DEFAULT_URL));
  const timing = Object.entries(options.timing ?? {})
    .filter(([, ms]) => ms !== undefined)
    .map(([name, ms]) => [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), ms]);
  return {
    ...(Object.fromEntries(timing) as Partial<MachineOptions>),
    ...environment.page(),
    transports,
    remembered: transports.find((name) => name === memory) ?? null,
    auth: options.auth !== undefined,
    attempts_limit: options.attemptsLimit ?? null,
    pause_after_ms: options.pauseAfterMs ?? null,
    development: options.development ?? inDevelopment(),
  };
}

/** Written so that bundlers replace it; without one there is no `process`, and it is production. */
function inDevelopment(): boolean {
  try {
    return process.env.NODE_ENV !== "production";
  } catch {
    return false;
  }
}
