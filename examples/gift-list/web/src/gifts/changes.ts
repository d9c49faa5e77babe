/**
 * What can happen to a list, in two forms: as an event from the server (`applyEvent`) and as a change of
 * one's own that the server has not answered yet (`applyChange`). Both are pure.
 */

import type { GiftFields, NewGift } from '../api.ts';
import type { Claim, Gift, ListDetail, Member } from '../model.ts';

export type Change =
  | { kind: 'add'; gift: NewGift }
  | { kind: 'edit'; gift: Gift; fields: Partial<GiftFields> }
  | { kind: 'remove'; gift: Gift }
  | { kind: 'restore'; gift: Gift }
  | { kind: 'claim'; gift: Gift }
  | { kind: 'unclaim'; gift: Gift };

/** As much of an event as is read here. */
export interface ListEvent {
  topic: string;
  event: string;
  data: { entity_id: string; payload: unknown };
}

/**
 * The list after an event of one of its topics. Revisions decide, so an event that the list holds already,
 * or an older one, changes nothing. `undefined`: an event that this version of the page does not know.
 */
export function applyEvent(list: ListDetail, event: ListEvent): ListDetail | undefined {
  if (event.topic.startsWith('gift-claims:')) return withClaim(list, event.data.payload as Claim);
  const gift = event.data.payload as Gift;
  const held = list.gifts.find((other) => other.id === gift.id);
  switch (event.event) {
    case 'ADDED':
      return held ? withGift(list, gift) : { ...list, gifts: inOrder([...list.gifts, gift]) };
    case 'UPDATED':
      return held ? withGift(list, gift) : list;
    case 'DELETED':
      return held && held.revision <= gift.revision ? without(list, gift.id) : list;
    default:
      return undefined;
  }
}

/** The list as it will be once the server has agreed to `change`. */
export function applyChange(list: ListDetail, change: Change, me: Member): ListDetail {
  const { gift } = change;
  const held = list.gifts.find((other) => other.id === gift.id);
  switch (change.kind) {
    case 'add':
      return held ? list : { ...list, gifts: [...list.gifts, draft(list, change.gift, me)] };
    case 'restore':
      return held ? list : { ...list, gifts: inOrder([...list.gifts, change.gift]) };
    case 'edit':
      return held ? replaced(list, { ...held, ...change.fields }) : list;
    case 'remove':
      return held ? without(list, gift.id) : list;
    case 'claim':
      return withClaimer(list, gift.id, me.id);
    case 'unclaim':
      return withClaimer(list, gift.id, null);
  }
}

export function claimerOf(list: ListDetail, giftId: string): string | null {
  return list.claims?.find((claim) => claim.gift_id === giftId)?.claimed_by ?? null;
}

/** A gift that the server has not seen: revision 0, so that whatever the server says of it is newer. */
function draft(list: ListDetail, gift: NewGift, me: Member): Gift {
  const added_at = new Date().toISOString();
  return { ...gift, list_id: list.id, added_by: me.id, added_at, revision: 0 };
}

function withGift(list: ListDetail, gift: Gift): ListDetail {
  const older = list.gifts.some((held) => held.id === gift.id && held.revision < gift.revision);
  return older ? replaced(list, gift) : list;
}

function replaced(list: ListDetail, gift: Gift): ListDetail {
  return { ...list, gifts: list.gifts.map((held) => (held.id === gift.id ? gift : held)) };
}

/** Its claim stays in the list: should the gift come back, it comes back claimed. */
function without(list: ListDetail, giftId: string): ListDetail {
  return { ...list, gifts: list.gifts.filter((gift) => gift.id !== giftId) };
}

function withClaim(list: ListDetail, claim: Claim): ListDetail {
  if (!list.claims) return list;
  const held = list.claims.find((other) => other.gift_id === claim.gift_id);
  if (held && held.revision >= claim.revision) return list;
  return { ...list, claims: [...list.claims.filter((other) => other !== held), claim] };
}

function withClaimer(list: ListDetail, giftId: string, claimed_by: string | null): ListDetail {
  if (!list.claims) return list;
  const held = list.claims.find((claim) => claim.gift_id === giftId);
  const claim = { gift_id: giftId, claimed_by, revision: held?.revision ?? 0 };
  return { ...list, claims: [...list.claims.filter((other) => other !== held), claim] };
}

/** As the server orders them: by the time they were added. Equal milliseconds are told apart as text. */
function inOrder(gifts: Gift[]): Gift[] {
  return gifts.sort(
    (a, b) =>
      Date.parse(a.added_at) - Date.parse(b.added_at) ||
      a.added_at.localeCompare(b.added_at) ||
      a.id.localeCompare(b.id),
  );
}
