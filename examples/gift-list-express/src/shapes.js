/** What goes over the wire, by REST and in events alike; and what may come in. */

import { Refused } from './errors.js';

/**
 * @typedef {import('./database.js').Gift} Gift
 * @typedef {import('./database.js').GiftList} GiftList
 * @typedef {{name?: string, note?: string, price_cents?: number | null}} Fields
 */

/** A gift as everybody may see it, the person it is for included: not a word about claims.
 * @param {Gift} gift */
export const giftOut = ({ id, list_id, name, note, price_cents, added_by, added_at, revision }) => {
  // As text: a number would round it.
  const price = price_cents === null ? null : (price_cents / 100).toFixed(2);
  return { id, list_id, name, note, price, added_by, added_at, revision };
};

/** Who takes care of a gift (null: nobody). Never sent to the person the gift is for.
 * @param {Gift} gift */
export const claimOut = ({ id, claimed_by, claim_revision }) => ({
  gift_id: id,
  claimed_by,
  revision: claim_revision,
});

/** @param {GiftList} list */
export const headingOut = ({ id, owner_id, title, due_on }) => ({ id, owner_id, title, due_on });

/** The fields of a gift in a request; those left out stay, so two people can change two fields at once.
 * @param {unknown} body
 * @returns {Fields} */
export function fieldsIn(body) {
  const { name, note, price } = /** @type {Record<string, unknown>} */ (body ?? {});
  /** @type {Fields} */
  const fields = {};
  if (name !== undefined) fields.name = text(name, 'name', 1, 120);
  if (note !== undefined) fields.note = text(note, 'note', 0, 400);
  if (price !== undefined) fields.price_cents = price === null ? null : cents(price);
  return fields;
}

/** An identifier that the page has chosen, so that a repeated request adds a gift once.
 * @param {unknown} id */
export function idIn(id) {
  if (typeof id === 'string' && /^[0-9a-f]{32}$/.test(id)) return id;
  throw invalid('id: 32 hex digits, chosen by the page');
}

/** @param {unknown} value @param {string} field @param {number} least @param {number} most */
function text(value, field, least, most) {
  const trimmed = typeof value === 'string' ? value.trim() : null;
  if (trimmed !== null && trimmed.length >= least && trimmed.length <= most) return trimmed;
  throw invalid(`${field}: text of ${least} to ${most} characters`);
}

/** @param {unknown} price */
function cents(price) {
  const amount = /^\d{1,6}(\.\d{1,2})?$/.test(String(price)) ? Math.round(Number(price) * 100) : -1;
  if (amount >= 0 && amount <= 10_000_000) return amount;
  throw invalid('price: an amount such as 24.50, at most 100,000, or null');
}

/** @param {string} message */
const invalid = (message) => new Refused(422, 'invalid', message);
