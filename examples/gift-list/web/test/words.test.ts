import { describe, expect, it } from 'vitest';
import { price, readPrice, untilDay } from '../src/ui/format.ts';

describe('prices', () => {
  it.each([
    ['', null],
    ['12', '12.00'],
    ['12,5', '12.50'],
    [' € 12.50 ', '12.50'],
    ['0', '0.00'],
    ['100000', '100000.00'],
    ['100000.01', undefined],
    ['12.345', undefined],
    ['-1', undefined],
    ['about ten', undefined],
    ['1e3', undefined],
  ])('reads %j as %j', (text, amount) => {
    expect(readPrice(text)).toBe(amount);
  });

  it('writes them with the sign', () => {
    expect(price('64.90')).toBe('€64.90');
  });
});

describe('how far away a day is', () => {
  const evening = new Date(2026, 10, 24, 23, 59);
  it.each([
    ['2026-11-23', 'past'],
    ['2026-11-24', 'today'],
    ['2026-11-25', 'tomorrow'],
    ['2026-12-06', 'in 12 days'],
    ['2027-03-01', 'in 3 months'],
  ])('%s is %s', (day, words) => {
    expect(untilDay(day, evening)).toBe(words);
  });
});
