import { useMutationState } from '@tanstack/react-query';
import { useCallback, useEffect } from 'react';
import { useTopicMutation } from 'tidings/react-query';
import { leaveIfSignedOut } from '../account.ts';
import { type Api, Refused, Unreachable } from '../api.ts';
import type { ListDetail } from '../model.ts';
import { useSignedIn } from '../people/context.ts';
import { useToast } from '../ui/toasts.tsx';
import { applyChange, type Change } from './changes.ts';
import { listKey } from './useList.ts';

const changesKey = (listId: string) => ['change', listId] as const;

/**
 * Makes a change: shown at once, sent in the order it was made, taken back with a message when the server
 * refuses it. While the server cannot be reached a change waits and is tried again, so the badge may say that
 * changes are safe; each is made so that a repeat does no harm (ids chosen here, claims that may be claimed
 * twice by the same person).
 */
export function useChange(listId: string): (change: Change) => void {
  const { me, apiOver } = useSignedIn();
  const toast = useToast();
  const { mutate } = useTopicMutation({
    mutationKey: changesKey(listId),
    queryKey: listKey(listId),
    scope: { id: `gift-list-${listId}` },
    // This fetch sends the change's own trace along, by which its event is known when it comes back.
    mutationFn: (change: Change, { fetch }) => send(apiOver(fetch), listId, change),
    optimistic: (list: ListDetail, change) => applyChange(list, change, me),
    // Whether there is a network, only an attempt can tell.
    networkMode: 'always',
    retry: (_failures, error) => error instanceof Unreachable,
    retryDelay: (failures) => Math.min(500 * 2 ** failures, 5_000) * (0.5 + Math.random() / 2),
    onError: (error, { gift }) => {
      toast({ tone: 'refused', title: gift.name, text: error.message });
      leaveIfSignedOut(error);
    },
  });
  return useCallback((change) => mutate(change), [mutate]);
}

/** The ids of the gifts whose changes have no answer yet. */
export function useWaiting(listId: string): ReadonlySet<string> {
  const changes = useMutationState({
    filters: { mutationKey: changesKey(listId), status: 'pending' },
    select: (mutation) => (mutation.state.variables as Change | undefined)?.gift.id,
  });
  return new Set(changes.filter((id) => id !== undefined));
}

/** Asks before the page is left while changes are waiting: they wait in this page only. */
export function useStayWhileWaiting(): void {
  const waiting = useMutationState({ filters: { status: 'pending' } }).length > 0;
  useEffect(() => {
    if (!waiting) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, [waiting]);
}

async function send(api: Api, listId: string, change: Change): Promise<unknown> {
  switch (change.kind) {
    case 'add':
      return api.add(listId, change.gift);
    case 'edit':
      return api.edit(change.gift.id, change.fields);
    case 'restore':
      return api.restore(change.gift.id);
    case 'claim':
      return api.claim(change.gift.id);
    case 'unclaim':
      return api.unclaim(change.gift.id);
    case 'remove':
      return api.remove(change.gift.id).catch((error: unknown) => {
        // It is gone already: by an earlier try whose answer was lost, or by somebody else.
        if (!(error instanceof Refused && error.status === 404)) throw error;
      });
  }
}
