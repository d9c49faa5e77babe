import { type RefObject, useLayoutEffect, useRef } from 'react';

const LIFT_MS = 150;
const OUTLINE_MS = 2_000;

const calm = matchMedia('(prefers-reduced-motion: reduce)');

/**
 * Makes changes seen: a row that is new or reads differently lifts and settles, and the others glide to their
 * new places. Where less motion is asked for, a changed row is outlined for two seconds instead.
 *
 * `readings` gives for each row, by the id in its `data-row`, the text that stands for what it shows.
 */
export function useMoves(container: RefObject<HTMLElement | null>, readings: Map<string, string>) {
  const before = useRef<{ tops: Map<string, number>; readings: Map<string, string> } | null>(null);
  useLayoutEffect(() => {
    const tops = new Map<string, number>();
    const rows = container.current?.querySelectorAll<HTMLElement>('[data-row]') ?? [];
    for (const row of rows) {
      const id = row.dataset.row ?? '';
      // Not where it is drawn: a row that is still gliding has its new place already.
      const top = row.offsetTop;
      tops.set(id, top);
      if (!before.current) continue;
      const oldTop = before.current.tops.get(id);
      if (before.current.readings.get(id) !== readings.get(id)) lift(row);
      else if (oldTop !== undefined && oldTop !== top) glide(row, oldTop - top);
    }
    before.current = { tops, readings };
  });
}

function lift(row: HTMLElement) {
  if (calm.matches) {
    const shown = { outline: '2px solid var(--accent)', outlineOffset: '-2px' };
    row.animate([shown, shown], { duration: OUTLINE_MS });
    return;
  }
  const rest = { transform: 'none', boxShadow: '0 0 0 transparent', zIndex: 1 };
  const up = { transform: 'translateY(-4px)', boxShadow: 'var(--shadow)', zIndex: 1 };
  row.animate([rest, up, rest], { duration: LIFT_MS * 2, easing: 'ease-out' });
  row.animate([{ backgroundColor: 'var(--accent-wash)' }, {}], {
    duration: 900,
    easing: 'ease-in',
  });
}

function glide(row: HTMLElement, from: number) {
  if (calm.matches) return;
  row.animate([{ transform: `translateY(${from}px)` }, { transform: 'none' }], {
    duration: LIFT_MS,
    easing: 'ease-out',
  });
}
