/** The entities in a piece of data: the data itself is a list of them, holds one in a field, or is one. */

import type { AnyRules } from "./rules.js";

/** The part of the rules that says where entities are and what they are called. */
export type EntityRules = Pick<AnyRules, "in" | "idOf" | "revisionOf">;

/** The list; null where the data is one entity, or nothing. */
export function entitiesOf(data: unknown, rules: EntityRules): readonly unknown[] | null {
  const found = rules.in === undefined ? data : fieldsOf(data)?.[rules.in];
  return Array.isArray(found) ? found : null;
}

/** The data with another list in it. */
export function withEntities(data: unknown, list: readonly unknown[], rules: EntityRules): unknown {
  return rules.in === undefined ? list : { ...fieldsOf(data), [rules.in]: list };
}

/** An entity's id as events name it; null where it has none. */
export function idIn(entity: unknown, { idOf }: EntityRules): string | null {
  const id = idOf === undefined ? fieldsOf(entity)?.id : idOf(entity);
  return typeof id === "string" || typeof id === "number" || typeof id === "bigint"
    ? String(id)
    : null;
}

/** The fields of an object; null for what is none, lists among them. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  return value as Readonly<Record<string, unknown>>;
}
