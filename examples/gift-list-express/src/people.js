/** Families and members, and signing in as one of them. */

import { Router } from 'express';
import { meOf, signedIn } from './auth.js';
import { all, get } from './database.js';
import { notFound, Refused } from './errors.js';
import { issueToken } from './live.js';

/**
 * @typedef {import('./database.js').Member} Member
 * @typedef {import('./database.js').Family} Family
 */

export const people = Router();

people.get('/members', (_request, response) => {
  const families = all('SELECT * FROM families ORDER BY name');
  response.json(families.map(familyOut));
});

people.post('/login', (request, response) => {
  const member = memberOf(request.body?.member_id);
  if (!member) throw notFound('member');
  response.json(session(member));
});

people.get('/me', signedIn, (request, response) => {
  const me = meOf(request);
  const member = memberOf(me.user);
  if (!member || member.family_id !== me.tenant) {
    throw new Refused(401, 'signed_out', 'Please sign in again.');
  }
  response.json(session(member));
});

/** @param {unknown} id @returns {Member | undefined} */
const memberOf = (id) => get('SELECT * FROM members WHERE id = ?', String(id));

/** @param {Member} member */
function session(member) {
  const family = get('SELECT * FROM families WHERE id = ?', member.family_id);
  return { token: issueToken(member), member: memberOut(member), family: familyOut(family) };
}

/** @param {Family} family */
function familyOut({ id, name }) {
  const members = all('SELECT * FROM members WHERE family_id = ? ORDER BY position', id);
  return { id, name, members: members.map(memberOut) };
}

/** @param {Member} member */
const memberOut = ({ id, name, role, hue }) => ({ id, name, role, hue });
