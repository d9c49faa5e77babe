import { type RefObject, useEffect, useLayoutEffect, useRef } from 'react';

/**
 * Keeps the keyboard's place in a list. A button that was pressed may give way to another, and a row may go, by
 * one's own hand or by somebody else's; without this the focus would be lost with it, and a screen reader's
 * place with the focus. It goes to the first button of the row, else of the one that has taken its place.
 */
export function useKeptFocus(container: RefObject<HTMLElement | null>) {
  const place = useRef<{ id: string; index: number } | null>(null);

  useEffect(() => {
    const list = container.current;
    const note = ({ target }: FocusEvent) => {
      const row = (target as Element).closest<HTMLElement>('[data-row]');
      place.current = row && { id: row.dataset.row ?? '', index: rowsOf(list).indexOf(row) };
    };
    // A button that is being removed tells that it loses the focus, too: a moment later it is not there.
    const forget = ({ target }: FocusEvent) => {
      queueMicrotask(() => {
        const left = (target as Element).isConnected && !list?.contains(document.activeElement);
        if (left) place.current = null;
      });
    };
    list?.addEventListener('focusin', note);
    list?.addEventListener('focusout', forget);
    return () => {
      list?.removeEventListener('focusin', note);
      list?.removeEventListener('focusout', forget);
    };
  }, [container]);

  useLayoutEffect(() => {
    if (!place.current || document.activeElement !== document.body) return;
    const { id, index } = place.current;
    const rows = rowsOf(container.current);
    const row = rows.find((other) => other.dataset.row === id) ?? rows[index] ?? rows.at(-1);
    const next = row?.querySelector('button') ?? document.getElementById('list-title');
    next?.focus({ preventScroll: true });
  });
}

function rowsOf(list: HTMLElement | null): HTMLElement[] {
  return [...(list?.querySelectorAll<HTMLElement>('[data-row]') ?? [])];
}
