import { useSyncExternalStore } from 'react';

/** The list that the address names after the hash, `#/leo-ten`: a link that can be sent and goes back. */
export function useListInAddress(): string | null {
  return useSyncExternalStore(onHashChange, () => /^#\/([\w-]+)$/.exec(location.hash)?.[1] ?? null);
}

export const listHref = (listId: string): string => `#/${listId}`;

/** Whether there is room for the lists and one list side by side. */
export function useWide(): boolean {
  return useSyncExternalStore(onWideChange, () => wide.matches);
}

const wide = matchMedia('(min-width: 56rem)');

function onHashChange(changed: () => void) {
  addEventListener('hashchange', changed);
  return () => removeEventListener('hashchange', changed);
}

function onWideChange(changed: () => void) {
  wide.addEventListener('change', changed);
  return () => wide.removeEventListener('change', changed);
}
