/** What the API sends; `schemas.py` is where it is made. */

export interface Member {
  id: string;
  name: string;
  role: string;
  /** Of the member's picture, in degrees of the OKLCH circle. */
  hue: number;
}

export interface Family {
  id: string;
  name: string;
  members: Member[];
}

export interface Session {
  token: string;
  member: Member;
  family: Family;
}

export interface Gift {
  id: string;
  list_id: string;
  name: string;
  note: string;
  /** An amount in euros with two decimals, as text: a number would round it. */
  price: string | null;
  added_by: string;
  /** ISO 8601, UTC. */
  added_at: string;
  revision: number;
}

export interface Claim {
  gift_id: string;
  claimed_by: string | null;
  revision: number;
}

interface Heading {
  id: string;
  owner_id: string;
  title: string;
  /** A day, YYYY-MM-DD. */
  due_on: string;
}

export interface ListSummary extends Heading {
  gifts: number;
  /** null on one's own list: who takes care of what is a surprise. */
  claimed: number | null;
}

export interface ListDetail extends Heading {
  gifts: Gift[];
  claims: Claim[] | null;
}

/** The topics of a list that a member may follow; the claims of one's own list are not among them. */
export function topicsOf(list: Heading, me: Member): string[] {
  const topics = [`gift-list:${list.id}`];
  if (list.owner_id !== me.id) topics.push(`gift-claims:${list.id}`);
  return topics;
}

/** An identifier as the API wants it: 32 hex digits. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
