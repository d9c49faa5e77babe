/** What becomes of the data with one event, by the rules; nothing is done here. */

import type { TidingsEvent } from "../core/event.js";
import { applyEvent, isOld } from "./apply.js";
import { entitiesOf, idIn } from "./entities.js";
import type { Revisions } from "./revisions.js";
import { type AnyRules, isUnknownVersion, REFETCH, reactionTo } from "./rules.js";

export type Verdict =
  | { readonly to: "write"; readonly data: unknown }
  | { readonly to: "refetch" | "invalidate" | "ignore" | "fetch_entity" };

export function judge(
  rules: AnyRules,
  revisions: Revisions,
  data: unknown,
  event: TidingsEvent,
): Verdict {
  if (isUnknownVersion(rules, event)) return { to: "refetch" };
  const reaction = reactionTo(rules, event);
  if (reaction === "refetch" || reaction === "invalidate" || reaction === "ignore")
    return { to: reaction };
  const { entity_id: id, payload } = event.data;
  const isDelete = event.event === "DELETED";
  if (reaction === "patch" && payload === null && !isDelete && rules.fetchEntity !== undefined)
    return { to: "fetch_entity" };
  const entity = find(data, id, rules);
  if (isOld(payload, entity, rules, !isDelete)) return { to: "write", data };
  const next =
    typeof reaction === "function"
      ? attempt(() => reaction(data, event))
      : applyEvent(data, event, rules);
  if (next === REFETCH) return { to: "refetch" };
  if (isDelete) revisions.deleted(id, revisionOf(payload, rules) ?? revisionOf(entity, rules));
  else revisions.added(id);
  return { to: "write", data: next };
}

/** What cannot be applied can be fetched. */
function attempt(apply: () => unknown): unknown {
  try {
    return apply();
  } catch {
    return REFETCH;
  }
}

function find(data: unknown, id: string, rules: AnyRules): unknown {
  if (rules.revisionOf === undefined) return undefined;
  const list = entitiesOf(data, rules);
  if (list !== null) return list.find((entity) => idIn(entity, rules) === id);
  return idIn(data, rules) === id ? data : undefined;
}

function revisionOf(
  entity: unknown,
  { revisionOf: read }: AnyRules,
): ReturnType<NonNullable<AnyRules["revisionOf"]>> {
  return entity === undefined || entity === null ? null : read?.(entity);
}
