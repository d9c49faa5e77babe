/** Reading lists. Each answer carries the cursors of its topics in the header Tidings-Cursor. */

import { Router } from 'express';
import { meOf } from './auth.js';
import { all, get } from './database.js';
import { notFound } from './errors.js';
import { noteCursors } from './live.js';
import { claimOut, giftOut, headingOut } from './shapes.js';

/**
 * @typedef {import('./database.js').Gift} Gift
 * @typedef {import('./database.js').GiftList} GiftList
 * @typedef {import('express').Request} Request
 */

export const lists = Router();

lists.get('/lists', noteCursors(listsOf), (request, response) => {
  const me = meOf(request);
  response.json(
    listsOf(request).map((list) => {
      const kept = giftsOf(list);
      const claimed = kept.filter(({ claimed_by }) => claimed_by !== null).length;
      const shown = list.owner_id === me.user ? null : claimed;
      return { ...headingOut(list), gifts: kept.length, claimed: shown };
    }),
  );
});

lists.get(
  '/lists/:id',
  noteCursors((request) => [listOf(request)]),
  (request, response) => {
    const list = listOf(request);
    const gifts = giftsOf(list);
    const isOwn = list.owner_id === meOf(request).user;
    response.json({
      ...headingOut(list),
      gifts: gifts.map(giftOut),
      claims: isOwn ? null : gifts.map(claimOut),
    });
  },
);

/** The family's lists, the next day to come first.
 * @param {Request} request @returns {GiftList[]} */
function listsOf(request) {
  const sql = 'SELECT * FROM gift_lists WHERE family_id = ? ORDER BY due_on, id';
  return all(sql, meOf(request).tenant);
}

/** @param {Request} request @returns {GiftList} */
export function listOf(request) {
  const sql = 'SELECT * FROM gift_lists WHERE id = ? AND family_id = ?';
  const found = get(sql, String(request.params.id), meOf(request).tenant);
  if (!found) throw notFound('list');
  return found;
}

/** @param {GiftList} list @returns {Gift[]} */
function giftsOf({ id }) {
  return all('SELECT * FROM gifts WHERE list_id = ? AND NOT removed ORDER BY added_at, id', id);
}
