/**
 * One change that this page makes: laid over the data at once, sent, and over when the data holds it.
 *
 * It ends when its own event has been applied (known by the trace that went out with the request), when a fetch
 * that began later has answered, or when it is refused.
 */

import type { Live, Mutation } from "../core/types.js";
import { isConflict, type OnConflict } from "./conflict.js";
import type { Follower } from "./follower.js";
import { type Layer, type Layers, tick, withLayers } from "./layers.js";
import type { Revision } from "./rules.js";
import { type ChangeTools, entityTag, makeTools, type Seen } from "./tools.js";

/** How long a change that succeeded waits for its own event before the data is fetched instead. */
const ECHO_MS = 1_000;

/** The data that a change is laid over. */
export interface Target {
  readonly layers: Layers;
  follower(): Follower | undefined;
  read(): unknown;
  refetch(): Promise<boolean>;
}

/** What the application says about a kind of change. */
export interface ChangeOptions<TResult, TVariables, TData> {
  readonly send: (variables: TVariables, tools: ChangeTools) => Promise<TResult>;
  /** The data as it will be. Called again whenever the data below it changes, so it must not keep a result. */
  readonly optimistic?: ((data: TData, variables: TVariables) => TData) | undefined;
  /** The revision of what is changed: it is sent as `If-Match`, so that nobody's change is overwritten unseen. */
  readonly revisionOf?:
    | ((data: TData, variables: TVariables) => Revision | null | undefined)
    | undefined;
  /** Asked when the server answers 412; without it the change is refused. */
  readonly onConflict?: OnConflict<TVariables, TData> | undefined;
}

/** What tells a change from others, also after a reload of the page. */
export interface Identity {
  readonly trace: Mutation;
  /** Sent with each try, where the change may be tried again after its answer was lost. */
  readonly idempotencyKey: string | null;
  /** The revision that the change was made upon, as `If-Match` has it; null: none. */
  readonly ifMatch?: string | null;
}

export class Change<TResult = unknown, TVariables = unknown, TData = unknown> {
  readonly #live: Live;
  readonly #target: Target;
  readonly #options: () => ChangeOptions<TResult, TVariables, TData>;
  readonly #layer: Layer;
  readonly #identity: Identity;
  #variables: TVariables;
  #ifMatch: string | null;
  #rounds = 0;

  /** Lays it. `options` are those of the moment, for components may write them inline. */
  constructor(
    live: Live,
    target: Target,
    variables: TVariables,
    options: () => ChangeOptions<TResult, TVariables, TData>,
    identity?: Identity,
  ) {
    this.#live = live;
    this.#target = target;
    this.#variables = variables;
    this.#options = options;
    const trace = identity?.trace ?? live.mutation();
    this.#identity = identity ?? { trace, idempotencyKey: null };
    this.#ifMatch = identity?.ifMatch === undefined ? this.#revision() : identity.ifMatch;
    const { optimistic } = options();
    this.#layer = {
      traceId: trace.traceId,
      change: (data) =>
        data === undefined || optimistic === undefined
          ? data
          : optimistic(data as TData, this.#variables),
      settledAt: null,
      moved: (before, after) => this.#rebase(this.#revision(before), this.#revision(after)),
      succeeded: (from, to) => this.#rebase(from, to),
    };
    target.layers.add(this.#layer);
  }

  get identity(): Identity {
    return { ...this.#identity, ifMatch: this.#ifMatch };
  }

  get variables(): TVariables {
    return this.#variables;
  }

  /** One try, with as many as the application wants after a conflict. Rejects with the application's error. */
  async send(): Promise<{ result: TResult }> {
    for (;;) {
      const { tools, seen } = this.#tools();
      try {
        const result = await this.#options().send(this.#variables, tools);
        this.#settle(seen);
        return { result };
      } catch (error) {
        this.isUnreachable = seen.isUnreachable;
        if (!isConflict(error) || !(await this.#resolved(error))) throw error;
      }
    }
  }

  /** Whether the last try failed because the server could not be reached. */
  isUnreachable = false;

  /** It was refused. */
  undo(): void {
    this.#target.layers.remove((one) => one === this.#layer);
  }

  #tools(): ReturnType<typeof makeTools> {
    const { trace, idempotencyKey } = this.#identity;
    // Made anew after a conflict it is another change, which the first one's key must not hide.
    const suffix = this.#rounds === 0 ? "" : `-${this.#rounds}`;
    const key = idempotencyKey === null ? null : idempotencyKey + suffix;
    return makeTools(this.#live, trace, key, this.#ifMatch);
  }

  #revision(data: unknown = this.#target.read()): string | null {
    const { revisionOf } = this.#options();
    if (revisionOf === undefined || data === undefined) return null;
    return entityTag(revisionOf(data as TData, this.#variables));
  }

  /** An earlier change of this page has made a new revision of the same thing: that is no conflict. */
  #rebase(from: string | null, to: string | null): void {
    if (from !== null && from === this.#ifMatch) this.#ifMatch = to;
  }

  /** Whether the change is to be sent again, upon what the server has now. */
  async #resolved(error: unknown): Promise<boolean> {
    const { layers } = this.#target;
    const before = this.#target.read();
    const local = withLayers(before, layers.get()) as TData;
    await this.#target.refetch();
    const { onConflict } = this.#options();
    if (onConflict === undefined) return false;
    const remote = this.#target.read() as TData;
    const decision = await onConflict({ variables: this.#variables, local, remote, error });
    if (decision === undefined) return false;
    this.#rounds += 1;
    this.#variables = decision.retry;
    this.#ifMatch = this.#revision();
    layers.renew();
    return true;
  }

  /** The request has succeeded. Its event ends the layer; where none comes, a fetch does. */
  #settle({ etag }: Seen): void {
    const { layers, follower, refetch } = this.#target;
    this.#layer.settledAt ??= tick();
    if (etag !== null && this.#ifMatch !== null) layers.succeeded(this.#ifMatch, etag);
    const isOpen = (): boolean => layers.get().includes(this.#layer);
    if (!isOpen()) return; // its event came before the response
    const fetch = (): void => {
      if (!isOpen()) return;
      const followed = follower();
      if (followed !== undefined) followed.refetch(true);
      else
        refetch().then(
          () => this.undo(),
          () => this.undo(),
        );
    };
    if (follower()?.liveness.state.live === true) setTimeout(fetch, ECHO_MS);
    else fetch();
  }
}
