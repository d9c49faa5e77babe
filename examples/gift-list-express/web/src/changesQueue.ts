/** Changes that wait while the server is away, and over a reload. */

import type { Live } from 'tidings';
import { ChangeQueue, queuedSWRMutation } from 'tidings/swr';
import { type Api, Refused, Unreachable } from '../../../gift-list/web/src/api.ts';
import { applyChange, type Change } from '../../../gift-list/web/src/gifts/changes.ts';
import type { ListDetail, Member } from '../../../gift-list/web/src/model.ts';
import { listKey } from './gifts/keys.ts';

/** A change, and the list that it is for: all that is kept of it. */
export interface Made {
  listId: string;
  change: Change;
}

/** The queue of one member, and the function that makes a change. */
export function changesOf(live: Live, me: Member, apiOver: (fetcher: typeof fetch) => Api) {
  const queue = new ChangeQueue({
    live,
    name: me.id,
    isUnreachable: (error) => error instanceof Unreachable,
  });
  const make = queuedSWRMutation<unknown, Made, ListDetail>(queue, 'change', {
    key: ({ listId }) => listKey(me.id, listId),
    mutationFn: ({ listId, change }, { fetch }) => send(apiOver(fetch), listId, change),
    optimistic: (list, { change }) => applyChange(list, change, me),
  });
  return { queue, make };
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
