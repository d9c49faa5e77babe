/** Changing gifts. Every route changes in one transaction, and publishes once it is committed. */

import { Router } from 'express';
import { meOf } from './auth.js';
import { get, transaction } from './database.js';
import { notFound, Refused } from './errors.js';
import { listOf } from './lists.js';
import { publishClaim, publishGift } from './live.js';
import { claimOut, fieldsIn, giftOut, idIn } from './shapes.js';

/**
 * @typedef {import('./auth.js').Me} Me
 * @typedef {import('./database.js').Gift} Gift
 * @typedef {import('./database.js').GiftList} GiftList
 * @typedef {import('express').Request} Request
 */

export const gifts = Router();

gifts.post('/lists/:id/gifts', async (request, response) => {
  const me = meOf(request);
  const list = listOf(request);
  const id = idIn(request.body?.id);
  const { name = '', note = '', price_cents = null } = fieldsIn({ name: '', ...request.body });
  const { gift, isNew } = transaction(() => {
    const known = giftOf(id);
    if (!known) {
      const gift = written(
        'INSERT INTO gifts (id, list_id, name, note, price_cents, added_by, added_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
        id,
        list.id,
        name,
        note,
        price_cents,
        me.user,
        new Date().toISOString(),
      );
      return { gift, isNew: true };
    }
    if (known.list_id !== list.id || known.added_by !== me.user || known.removed) {
      throw new Refused(409, 'id_taken', 'This gift was added before, and removed since.');
    }
    return { gift: known, isNew: false };
  });
  if (isNew) await publishGift('ADDED', gift, me);
  response.status(201).json(giftOut(gift));
});

gifts.patch('/gifts/:id', async (request, response) => {
  const me = meOf(request);
  const fields = fieldsIn(request.body);
  const names = Object.keys(fields); // of fieldsIn's own making, so fit for SQL
  if (names.length === 0) throw new Refused(422, 'invalid', 'name at least one field to change');
  const gift = transaction(() => {
    seen(request.params.id, me);
    const set = names.map((name) => `${name} = ?`).join(', ');
    const sql = `UPDATE gifts SET ${set}, revision = revision + 1 WHERE id = ? AND NOT removed`;
    return written(sql, ...Object.values(fields), request.params.id);
  });
  if (!gift) throw notFound('gift');
  await publishGift('UPDATED', gift, me);
  response.json(giftOut(gift));
});

gifts.delete('/gifts/:id', async (request, response) => {
  const me = meOf(request);
  const gift = transaction(() => {
    const { gift: before, list } = seen(request.params.id, me);
    // The owner may always change their mind. A refusal would tell them that somebody has the gift.
    const isFree = before.claimed_by === null || before.claimed_by === me.user;
    if (list.owner_id !== me.user && !isFree) throw lostTo(before);
    return written('UPDATE gifts SET removed = 1, revision = revision + 1 WHERE id = ?', before.id);
  });
  await publishGift('DELETED', gift, me);
  response.status(204).end();
});

/** Undo a removal: the gift comes back in its old place, with its claim. */
gifts.post('/gifts/:id/restore', async (request, response) => {
  const me = meOf(request);
  const { gift, isBack } = transaction(() => {
    const { gift: before } = seen(request.params.id, me, true);
    const sql = 'UPDATE gifts SET removed = 0, revision = revision + 1 WHERE id = ? AND removed';
    const restored = written(sql, before.id);
    return { gift: restored ?? before, isBack: restored !== undefined };
  });
  if (isBack) await publishGift('ADDED', gift, me);
  response.json(giftOut(gift));
});

// The database decides who was first: of two claims at once, the second finds nothing unclaimed.
gifts.put('/gifts/:id/claim', (request, response) =>
  handOver(request, response, 'claimed_by IS NULL', meOf(request).user),
);

gifts.delete('/gifts/:id/claim', (request, response) =>
  handOver(request, response, 'claimed_by = ?2', null),
);

/**
 * Give the gift to `to` if the condition holds; a repeat of what is so already succeeds too.
 * @param {Request} request
 * @param {import('express').Response} response
 * @param {string} condition
 * @param {string | null} to
 */
async function handOver(request, response, condition, to) {
  const me = meOf(request);
  const { gift, isChanged } = transaction(() => {
    const { gift: before, list } = seen(request.params.id, me);
    if (list.owner_id === me.user) {
      throw new Refused(403, 'own_list', 'This list is yours: leave the giving to the others.');
    }
    const sql = `UPDATE gifts SET claimed_by = ?3, claim_revision = claim_revision + 1
      WHERE id = ?1 AND NOT removed AND ${condition}`;
    const changed = written(sql, before.id, me.user, to);
    const now = changed ?? before;
    if (now.claimed_by !== to) throw lostTo(now);
    return { gift: now, isChanged: changed !== undefined };
  });
  if (isChanged) await publishClaim(gift, me);
  response.json(claimOut(gift));
}

/** A row that a statement has written, as it is then; undefined where its condition did not hold.
 * @param {string} sql @param {(string | number | null)[]} values @returns {any} a Gift */
const written = (sql, ...values) => get(`${sql} RETURNING *`, ...values);

/** @param {string} id @returns {Gift | undefined} */
const giftOf = (id) => get('SELECT * FROM gifts WHERE id = ?', id);

/**
 * The gift as it is now, and its list; throws Refused (404) unless it is one of the family's.
 * @param {unknown} id
 * @param {Me} me
 * @param {boolean} [alsoRemoved]
 */
function seen(id, me, alsoRemoved = false) {
  const gift = giftOf(String(id));
  const list = get('SELECT * FROM gift_lists WHERE id = ?', gift?.list_id ?? '');
  if (!gift || !list || list.family_id !== me.tenant) throw notFound('gift');
  if (gift.removed && !alsoRemoved) throw notFound('gift');
  return { gift, list };
}

/** @param {Gift} gift */
function lostTo({ claimed_by }) {
  const claimer = get('SELECT name FROM members WHERE id = ?', claimed_by ?? '');
  const name = claimer?.name ?? 'Somebody';
  return new Refused(409, 'already_claimed', `${name} has already claimed this.`);
}
