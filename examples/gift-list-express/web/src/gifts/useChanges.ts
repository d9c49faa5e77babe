import { useCallback } from 'react';
import { useWaitingChanges } from 'tidings/swr';
import { leaveIfSignedOut } from '../../../../gift-list/web/src/account.ts';
import type { Change } from '../../../../gift-list/web/src/gifts/changes.ts';
import { useToast } from '../../../../gift-list/web/src/ui/toasts.tsx';
import { useChanges } from '../cache.tsx';
import type { Made } from '../changesQueue.ts';

/** Makes a change: shown at once, sent in the order it was made, taken back with a message when it is refused. */
export function useChange(listId: string): (change: Change) => void {
  const { make } = useChanges();
  const toast = useToast();
  return useCallback(
    (change) => {
      make({ listId, change }).catch((error: Error) => {
        toast({ tone: 'refused', title: change.gift.name, text: error.message });
        leaveIfSignedOut(error);
      });
    },
    [make, listId, toast],
  );
}

/** The ids of the gifts whose changes have no answer yet. */
export function useWaiting(listId: string): ReadonlySet<string> {
  const waiting = useWaitingChanges(useChanges().queue).map(({ variables }) => variables as Made);
  return new Set(
    waiting.filter((made) => made.listId === listId).map(({ change }) => change.gift.id),
  );
}

/** Nothing is asked when the page is left: what waits is kept, and sent when the page is opened again. */
export function useStayWhileWaiting(): void {}
