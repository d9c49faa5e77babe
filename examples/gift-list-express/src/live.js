/**
 * The live part: who may follow what, and what is said when something has changed.
 *
 * `tidings serve` holds the connections of the pages. It asks this program who may follow a topic, and is told what
 * has changed. Two topics a list, because two audiences: `gift-list:{id}` carries the gifts, to the whole family;
 * `gift-claims:{id}` who takes care of which, to everybody but the person the list is for.
 */

import {
  authorizer,
  matchTopic,
  mintToken,
  TidingsServer,
  tidingsCursor,
  Unreachable,
} from 'tidings/server';
import { meOf } from './auth.js';
import { get } from './database.js';
import { settings } from './settings.js';
import { claimOut, giftOut } from './shapes.js';

/**
 * @typedef {import('./auth.js').Me} Me
 * @typedef {import('./database.js').Gift} Gift
 * @typedef {import('./database.js').GiftList} GiftList
 * @typedef {import('express').Request} Request
 */

export const live = new TidingsServer({
  url: settings.tidingsUrl,
  key: settings.apiKey,
  timeoutMs: 3_000,
});

/** What `tidings serve` asks. Tokens it checks by itself, for it knows their secret. */
export const answers = authorizer({
  secret: settings.webhookSecret,
  subscribe: ({ user, tenant }, topic) => {
    const seen = matchTopic('gift-list:{id}', topic);
    const claimed = matchTopic('gift-claims:{id}', topic);
    /** @type {GiftList | undefined} */
    const list = get('SELECT * FROM gift_lists WHERE id = ?', (seen ?? claimed)?.id ?? '');
    return (
      list !== undefined && list.family_id === tenant && (seen !== null || list.owner_id !== user)
    );
  },
});

/**
 * A token that says which member of which family is signed in: for this program, and for `tidings serve`.
 * @param {{id: string, family_id: string}} member
 */
export const issueToken = (member) =>
  mintToken(settings.tokenSecret, {
    user: member.id,
    tenant: member.family_id,
    ttlSeconds: 86_400,
  });

/**
 * Notes where the topics of lists stand, BEFORE the gifts are queried: a change between this moment and the
 * subscription then comes as an event. The owner gets no cursor of the claims, for it would count them.
 * @param {(request: Request) => GiftList[]} listsOf
 */
export const noteCursors = (listsOf) =>
  tidingsCursor(live, (/** @type {Request} */ request) => {
    const { user, tenant } = meOf(request);
    const topics = listsOf(request).flatMap(({ id, owner_id }) =>
      owner_id === user ? [`gift-list:${id}`] : [`gift-list:${id}`, `gift-claims:${id}`],
    );
    return { topics, tenant };
  });

/**
 * Tell the family that a gift was ADDED, UPDATED or DELETED; call it once that is committed.
 * @param {string} event
 * @param {Gift} gift
 * @param {Me} by
 */
export const publishGift = (event, gift, by) =>
  publish(`gift-list:${gift.list_id}`, event, gift, giftOut(gift), by);

/**
 * Tell everybody but the list's owner who has the gift now; call it once that is committed.
 * @param {Gift} gift
 * @param {Me} by
 */
export const publishClaim = (gift, by) =>
  publish(`gift-claims:${gift.list_id}`, 'STATUS_CHANGED', gift, claimOut(gift), by);

/**
 * @param {string} topic
 * @param {string} event
 * @param {Gift} gift
 * @param {object} payload
 * @param {Me} by
 */
async function publish(topic, event, { id }, payload, { user, tenant }) {
  try {
    await live.publish(topic, event, { entityId: id, payload, userId: user, tenant });
  } catch (error) {
    // The change is made, so the request must not fail. The pages read again when the live server is back.
    if (!(error instanceof Unreachable)) throw error;
    console.error(error.message);
  }
}
