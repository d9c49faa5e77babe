/** Events without a payload: each names an entity that is to be fetched (rule R3). */

import type { TidingsEvent } from "../core/event.js";
import { Coalescer } from "./coalesce.js";
import type { Attention } from "./host.js";

/** More entities than this at once are one fetch of everything. */
const AT_ONCE_MAX = 10;

type FetchEntity = (id: string, event: TidingsEvent) => Promise<unknown>;

interface Options {
  readonly attention: Attention;
  readonly spreadMs: number;
  /** The entity as it is after these events; null: it is gone. */
  readonly fetched: (events: readonly TidingsEvent[], entity: unknown) => void;
  /** Fetch everything instead. */
  readonly failed: () => void;
}

interface Reference {
  readonly coalescer: Coalescer;
  events: TidingsEvent[];
  isRunning: boolean;
  /** Something newer about the entity has been applied while it was fetched. */
  isOvertaken: boolean;
}

export class References {
  readonly #options: Options;
  readonly #byId = new Map<string, Reference>();

  constructor(options: Options) {
    this.#options = options;
  }

  /** Whether an entity is on its way. */
  get isBusy(): boolean {
    return this.#busy() > 0;
  }

  /** Fetch the entity of the event; false where too many are on their way already. */
  ask(fetchEntity: FetchEntity, event: TidingsEvent, urgent: boolean): boolean {
    const id = event.data.entity_id;
    const known = this.#byId.get(id);
    if (known === undefined && this.#busy() >= AT_ONCE_MAX) return false;
    const reference = known ?? this.#make(fetchEntity, id);
    reference.events.push(event);
    reference.coalescer.request(urgent);
    return true;
  }

  /** An event with a payload has been applied: an entity that is read at the moment may be older. */
  overtaken(id: string): void {
    const reference = this.#byId.get(id);
    if (reference?.isRunning === true) reference.isOvertaken = true;
  }

  stop(): void {
    for (const { coalescer } of this.#byId.values()) coalescer.stop();
    this.#byId.clear();
  }

  #busy(): number {
    let busy = 0;
    for (const { events, isRunning } of this.#byId.values())
      if (isRunning || events.length > 0) busy += 1;
    return busy;
  }

  #make(fetchEntity: FetchEntity, id: string): Reference {
    const { attention, spreadMs } = this.#options;
    const run = (): Promise<boolean> => this.#run(fetchEntity, id, reference);
    const coalescer = new Coalescer(run, { spreadMs }, attention);
    const reference: Reference = { coalescer, events: [], isRunning: false, isOvertaken: false };
    this.#byId.set(id, reference);
    return reference;
  }

  async #run(fetchEntity: FetchEntity, id: string, reference: Reference): Promise<boolean> {
    const { fetched, failed } = this.#options;
    const events = reference.events.splice(0);
    const last = events.at(-1);
    if (last === undefined) return true;
    reference.isRunning = true;
    reference.isOvertaken = false;
    const isHeld = (): boolean => this.#byId.get(id) === reference;
    try {
      const entity = await fetchEntity(id, last);
      reference.isRunning = false;
      if (!isHeld()) return true;
      if (reference.isOvertaken) {
        reference.events.unshift(...events);
        reference.coalescer.request(true);
      } else fetched(events, entity);
    } catch {
      reference.isRunning = false;
      if (isHeld()) failed();
    }
    return true;
  }
}
