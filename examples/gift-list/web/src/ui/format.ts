const euros = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' });
const day = new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long' });

/** "64.90" as "€64.90". */
export function price(amount: string): string {
  return euros.format(Number(amount));
}

/** "12,5" as "12.50", nothing as null; undefined where it is no amount from 0 to 100,000. */
export function readPrice(text: string): string | null | undefined {
  const plain = text.replace(/[€\s]/g, '').replace(',', '.');
  if (plain === '') return null;
  if (!/^\d{1,6}(\.\d{1,2})?$/.test(plain) || Number(plain) > 100_000) return undefined;
  return Number(plain).toFixed(2);
}

/** YYYY-MM-DD as "Sunday 6 December": a day, so no time zone may move it. */
export function longDay(isoDay: string): string {
  return day.format(localDay(isoDay));
}

/** How far away a day is, in words. */
export function untilDay(isoDay: string, today = new Date()): string {
  const midnight = new Date(today.getFullYear(), today.getMonth(), today.getDate());
  // Rounded, for a day on which the clocks change has 23 or 25 hours.
  const days = Math.round((localDay(isoDay).getTime() - midnight.getTime()) / 86_400_000);
  if (days < 0) return 'past';
  if (days === 0) return 'today';
  if (days === 1) return 'tomorrow';
  return days < 60 ? `in ${days} days` : `in ${Math.round(days / 30.4)} months`;
}

/** "1 wish", "2 wishes". */
export function wishes(count: number): string {
  return count === 1 ? '1 wish' : `${count} wishes`;
}

function localDay(isoDay: string): Date {
  const [year = 0, month = 1, date = 1] = isoDay.split('-').map(Number);
  return new Date(year, month - 1, date);
}
