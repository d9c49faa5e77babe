/** An event, applied to a list of entities or to one. */

import type { TidingsEvent } from "../core/event.js";
import { type EntityRules, entitiesOf, fieldsOf, idIn, withEntities } from "./entities.js";
import { isNewer } from "./revisions.js";
import { REFETCH } from "./rules.js";

/** Where the entities are and what tells them apart; see `Sync`. */
export interface ApplyOptions<E = unknown> {
  readonly in?: string | undefined;
  readonly idOf?: (entity: E) => string | number;
  readonly revisionOf?: (entity: E) => number | bigint | string | null | undefined;
}

/**
 * The data after an event. ADDED puts the payload at the end of the list (or in the place of the entity with its
 * id), DELETED takes the entity out, anything else merges the payload into it: a full object replaces every
 * field, a part of one some. What is not newer by `revisionOf` changes nothing. REFETCH where the event does not
 * say enough: without a payload, or about an entity that is not here. Unchanged data is the same object.
 */
export function applyEvent<T, E = T extends readonly (infer Item)[] ? Item : T>(
  data: T,
  event: TidingsEvent,
  options: ApplyOptions<E> = {},
): T | typeof REFETCH {
  return patched(data, event, options as EntityRules) as T | typeof REFETCH;
}

function patched(data: unknown, event: TidingsEvent, rules: EntityRules): unknown {
  const { entity_id: id, payload } = event.data;
  const list = entitiesOf(data, rules);
  if (list === null) return patchedOne(data, event, rules);
  const at = list.findIndex((entity) => idIn(entity, rules) === id);
  if (event.event === "DELETED") {
    if (at === -1 || isOld(payload, list[at], rules, false)) return data;
    return withEntities(
      data,
      list.filter((_, n) => n !== at),
      rules,
    );
  }
  if (fieldsOf(payload) === null) return REFETCH;
  if (at === -1) {
    // Changed, and not here: it may belong here from now on, and the payload may be a part only.
    return event.event === "ADDED" ? withEntities(data, [...list, payload], rules) : REFETCH;
  }
  if (isOld(payload, list[at], rules)) return data;
  const next = list.map((entity, n) => (n === at ? merged(entity, payload) : entity));
  return withEntities(data, next, rules);
}

function patchedOne(data: unknown, event: TidingsEvent, rules: EntityRules): unknown {
  const { entity_id: id, payload } = event.data;
  if (event.event === "DELETED" || rules.in !== undefined) return REFETCH;
  if (fieldsOf(payload) === null || idIn(data, rules) !== id) return REFETCH;
  return isOld(payload, data, rules) ? data : merged(data, payload);
}

function merged(entity: unknown, payload: unknown): unknown {
  return { ...fieldsOf(entity), ...fieldsOf(payload) };
}

/** Whether the payload is of a revision that the entity has already, or of an older one. */
export function isOld(
  payload: unknown,
  entity: unknown,
  { revisionOf }: EntityRules,
  orSame = true,
): boolean {
  if (revisionOf === undefined || fieldsOf(payload) === null || entity === undefined) return false;
  const ours = revisionOf(entity);
  const its = revisionOf(payload);
  return orSame ? isNewer(its, ours) === false : isNewer(ours, its) === true;
}
