import { describe, expect, it } from 'vitest';
import { applyChange, applyEvent, type Change, claimerOf } from '../src/gifts/changes.ts';
import type { Claim, Gift, ListDetail, Member } from '../src/model.ts';

const ana: Member = { id: 'ana', name: 'Ana', role: 'Mum', hue: 40 };

function gift(id: string, more: Partial<Gift> = {}): Gift {
  return {
    id,
    list_id: 'leo-ten',
    name: `Gift ${id}`,
    note: '',
    price: null,
    added_by: 'leo',
    added_at: `2026-11-24T10:00:0${id}Z`,
    revision: 1,
    ...more,
  };
}

function list(gifts: Gift[], claims: Claim[] | null = []): ListDetail {
  return {
    id: 'leo-ten',
    owner_id: 'leo',
    title: 'Leo turns ten',
    due_on: '2026-12-06',
    gifts,
    claims,
  };
}

const about = (event: string, payload: Gift) => ({
  topic: 'gift-list:leo-ten',
  event,
  data: { entity_id: payload.id, payload },
});

const aboutClaim = (payload: Claim) => ({
  topic: 'gift-claims:leo-ten',
  event: 'STATUS_CHANGED',
  data: { entity_id: payload.gift_id, payload },
});

const ids = (of: ListDetail | undefined) => of?.gifts.map((each) => each.id);

describe('events', () => {
  it('adds in the order of time, whatever the order of arrival', () => {
    const third = applyEvent(list([gift('1')]), about('ADDED', gift('3')));
    const second = applyEvent(third ?? list([]), about('ADDED', gift('2')));
    expect(ids(second)).toEqual(['1', '2', '3']);
  });

  it('changes nothing when what it says is known already', () => {
    const before = list([gift('1', { revision: 3, name: 'Newest' })]);
    expect(applyEvent(before, about('ADDED', gift('1')))).toBe(before);
    expect(applyEvent(before, about('UPDATED', gift('1', { revision: 3 })))).toBe(before);
    expect(applyEvent(before, about('DELETED', gift('1', { revision: 2 })))).toBe(before);
  });

  it('never overwrites a newer state with an older one', () => {
    const before = list([gift('1', { revision: 3, name: 'Newest' })]);
    const newer = applyEvent(before, about('UPDATED', gift('1', { revision: 4, name: 'Newer' })));
    expect(newer?.gifts[0]?.name).toBe('Newer');
    const older = applyEvent(before, about('UPDATED', gift('1', { revision: 2, name: 'Old' })));
    expect(older?.gifts[0]?.name).toBe('Newest');
  });

  it('does not bring back a removed gift with a late change', () => {
    const removed = applyEvent(list([gift('1')]), about('DELETED', gift('1', { revision: 2 })));
    expect(ids(removed)).toEqual([]);
    expect(ids(applyEvent(list([]), about('UPDATED', gift('1', { revision: 2 }))))).toEqual([]);
  });

  it('brings a restored gift back with its claim', () => {
    const claim = { gift_id: '1', claimed_by: 'ben', revision: 1 };
    const removed = applyEvent(
      list([gift('1')], [claim]),
      about('DELETED', gift('1', { revision: 2 })),
    );
    const back = applyEvent(removed ?? list([]), about('ADDED', gift('1', { revision: 3 })));
    expect(back && claimerOf(back, '1')).toBe('ben');
  });

  it('takes the newest claim, also of a gift that it has not heard of', () => {
    const before = list([gift('1')], [{ gift_id: '1', claimed_by: null, revision: 2 }]);
    const late = applyEvent(before, aboutClaim({ gift_id: '1', claimed_by: 'ben', revision: 1 }));
    expect(late).toBe(before);
    const now = applyEvent(before, aboutClaim({ gift_id: '1', claimed_by: 'ben', revision: 3 }));
    expect(now && claimerOf(now, '1')).toBe('ben');
    const early = applyEvent(before, aboutClaim({ gift_id: '9', claimed_by: 'ben', revision: 1 }));
    expect(early && claimerOf(early, '9')).toBe('ben');
  });

  it('leaves the claims of one’s own list unknown', () => {
    const own = list([gift('1')], null);
    expect(applyEvent(own, aboutClaim({ gift_id: '1', claimed_by: 'ben', revision: 1 }))).toBe(own);
  });

  it('says so when it does not know the event', () => {
    expect(applyEvent(list([gift('1')]), about('REWRAPPED', gift('1')))).toBeUndefined();
  });
});

describe('changes of one’s own', () => {
  const apply = (before: ListDetail, change: Change) => applyChange(before, change, ana);

  it('shows an added gift last, until the server’s word replaces it', () => {
    const shown = apply(list([gift('1')]), {
      kind: 'add',
      gift: { id: '2', name: 'Book', note: '', price: '9.00' },
    });
    expect(shown.gifts[1]).toMatchObject({ id: '2', name: 'Book', added_by: 'ana', revision: 0 });
    const told = applyEvent(shown, about('ADDED', gift('2', { name: 'Book' })));
    expect(told?.gifts[1]).toMatchObject({ revision: 1, added_by: 'leo' });
  });

  it('does not add what has come by event already', () => {
    const before = list([gift('1')]);
    expect(apply(before, { kind: 'add', gift: gift('1') })).toBe(before);
  });

  it('edits, removes, restores, claims and lets go', () => {
    const one = gift('1');
    const before = list([one, gift('2')]);
    const edited = apply(before, { kind: 'edit', gift: one, fields: { name: 'Skates' } });
    expect(edited.gifts[0]).toEqual({ ...one, name: 'Skates' });
    const removed = apply(before, { kind: 'remove', gift: one });
    expect(ids(removed)).toEqual(['2']);
    expect(ids(apply(removed, { kind: 'restore', gift: one }))).toEqual(['1', '2']);
    const claimed = apply(before, { kind: 'claim', gift: one });
    expect(claimerOf(claimed, '1')).toBe('ana');
    expect(claimerOf(apply(claimed, { kind: 'unclaim', gift: one }), '1')).toBeNull();
    expect(before).toEqual(list([one, gift('2')]));
  });

  it('does nothing to a gift that is gone', () => {
    const before = list([gift('2')]);
    expect(apply(before, { kind: 'edit', gift: gift('1'), fields: { name: 'x' } })).toBe(before);
    expect(apply(before, { kind: 'remove', gift: gift('1') })).toBe(before);
  });
});
