/** Who is asking. The demo has no passwords: whoever names a member is that member. */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { Refused } from './errors.js';
import { settings } from './settings.js';

/** @typedef {{user: string, tenant: string}} Me */

/**
 * The member in a token that `issueToken` has made; null where it is forged, damaged or out of date.
 * @param {string} token
 * @returns {Me | null}
 */
function readToken(token) {
  const [head, claims, signature, more] = token.split('.');
  if (!head || !claims || !signature || more !== undefined) return null;
  const digest = createHmac('sha256', settings.tokenSecret).update(`${head}.${claims}`).digest();
  const shown = Buffer.from(signature, 'base64url');
  // The signature alone says that we made it: what the head names is not looked at.
  if (shown.length !== digest.length || !timingSafeEqual(shown, digest)) return null;
  const { sub, tenant, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString());
  return exp > Date.now() / 1000 ? { user: sub, tenant } : null;
}

/** @type {WeakMap<import('node:http').IncomingMessage, Me>} */
const members = new WeakMap();

/**
 * Lets only members through.
 * @type {import('express').RequestHandler}
 */
export const signedIn = (request, _response, next) => {
  const [kind, token] = (request.headers.authorization ?? '').split(' ');
  const me = kind === 'Bearer' && token ? readToken(token) : null;
  if (!me) throw new Refused(401, 'signed_out', 'Please sign in again.');
  members.set(request, me);
  next();
};

/**
 * The member who makes a request that `signedIn` has let through.
 * @param {import('node:http').IncomingMessage} request
 */
export function meOf(request) {
  const me = members.get(request);
  if (!me) throw new Error('the route stands before signedIn');
  return me;
}
