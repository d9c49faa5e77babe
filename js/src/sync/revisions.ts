/** Which of two states of an entity is the newer one, and what that means for a response (rule R13). */

import { type EntityRules, entitiesOf, idIn, withEntities } from "./entities.js";
import type { Revision } from "./rules.js";

const DELETED_MAX = 256;

/** Whether `a` is newer than `b`; null where one of them is not known, or they are of different kinds. */
export function isNewer(
  a: Revision | null | undefined,
  b: Revision | null | undefined,
): boolean | null {
  if (a === null || a === undefined || b === null || b === undefined) return null;
  if ((typeof a === "string") !== (typeof b === "string")) return null;
  return a > b;
}

/** Remembers what was deleted in which revision, so that an older response does not bring it back. */
export class Revisions {
  readonly #deleted = new Map<string, Revision>();
  #isBelieving = false;

  deleted(id: string, revision: Revision | null | undefined): void {
    if (revision === null || revision === undefined) return;
    this.#deleted.delete(id);
    this.#deleted.set(id, revision);
    for (const oldest of this.#deleted.keys()) {
      if (this.#deleted.size <= DELETED_MAX) break;
      this.#deleted.delete(oldest);
    }
  }

  added(id: string): void {
    this.#deleted.delete(id);
  }

  /** Events may have been missed, or the server has begun anew: its next response is believed. */
  distrust(): void {
    this.#deleted.clear();
    this.#isBelieving = true;
  }

  /** A response, with the entities of `cached` that are newer than its own. */
  newest(response: unknown, cached: unknown, rules: EntityRules): unknown {
    const { revisionOf } = rules;
    const isBelieving = this.#isBelieving;
    this.#isBelieving = false;
    if (revisionOf === undefined || cached === undefined || isBelieving) return response;
    const list = entitiesOf(response, rules);
    if (list === null) return this.#newestOne(response, cached, rules);
    const known = new Map(
      (entitiesOf(cached, rules) ?? []).map((entity) => [idIn(entity, rules), entity]),
    );
    let changed = false;
    const newest = list.flatMap((entity) => {
      const id = idIn(entity, rules);
      const mine = known.get(id);
      if (mine !== undefined && isNewer(revisionOf(mine), revisionOf(entity)) === true) {
        changed = true;
        return [mine];
      }
      const gone = id === null ? undefined : this.#deleted.get(id);
      const zombie = gone !== undefined && isNewer(revisionOf(entity), gone) === false;
      changed ||= zombie;
      return zombie ? [] : [entity];
    });
    return changed ? withEntities(response, newest, rules) : response;
  }

  #newestOne(response: unknown, cached: unknown, rules: EntityRules): unknown {
    const id = idIn(response, rules);
    if (id === null || id !== idIn(cached, rules)) return response;
    const { revisionOf } = rules;
    const older = isNewer(revisionOf?.(cached), revisionOf?.(response)) === true;
    return older ? cached : response;
  }
}
