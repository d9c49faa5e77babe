/** What was read is kept here: by SWR, in the page's own cache. And the changes that wait. */

import { createContext, type ReactNode, useContext } from 'react';
import type { ChangeQueue } from 'tidings/swr';
import type { CacheOptions } from '../../../gift-list/web/src/cache.tsx';
import { changesOf, type Made } from './changesQueue.ts';

/** What somebody who is signed in has beside SWR's cache, whose keys begin with who it is. */
export interface Cached {
  changes: Changes;
}

interface Changes {
  queue: ChangeQueue;
  make: (made: Made) => Promise<unknown>;
}

export const openCache = ({ live, me, apiOver }: CacheOptions): Cached => ({
  changes: changesOf(live, me, apiOver),
});

/** What waits stays in the browser's storage, for when the same person signs in again. */
export const clearCache = ({ changes }: Cached): void => changes.queue.close();

const ChangesContext = createContext<Changes | null>(null);

export function CacheProvider({
  cached,
  children,
}: {
  /** Null while nobody is signed in. */
  cached: Cached | null;
  children: ReactNode;
}) {
  return <ChangesContext value={cached?.changes ?? null}>{children}</ChangesContext>;
}

export function useChanges(): Changes {
  const changes = useContext(ChangesContext);
  if (!changes) throw new Error('useChanges belongs below <CacheProvider> of who is signed in');
  return changes;
}
