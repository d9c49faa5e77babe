import { REFETCH, useTopicSWR } from 'tidings/swr';
import { leaveIfSignedOut } from '../../../../gift-list/web/src/account.ts';
import { Unreachable } from '../../../../gift-list/web/src/api.ts';
import { applyEvent } from '../../../../gift-list/web/src/gifts/changes.ts';
import {
  type ListDetail,
  type ListSummary,
  topicsOf,
} from '../../../../gift-list/web/src/model.ts';
import { useSignedIn } from '../../../../gift-list/web/src/people/context.ts';
import { asQuery } from '../asQuery.ts';
import { listKey } from './keys.ts';

const options = {
  onError: leaveIfSignedOut,
  shouldRetryOnError: (error: Error) => error instanceof Unreachable,
};

/** One list, kept up to date by patching: every event carries what has changed, so nothing is fetched again. */
export function useList(summary: ListSummary) {
  const { me, apiOver } = useSignedIn();
  return asQuery(
    useTopicSWR<ListDetail>(
      listKey(me.id, summary.id),
      (_key, { fetch, signal }) => apiOver(fetch).list(summary.id, signal),
      {
        ...options,
        topics: topicsOf(summary, me),
        apply: (list, event) => applyEvent(list, event) ?? REFETCH,
      },
    ),
  );
}

/** All lists with their counts, kept up to date by fetching again: one request for a burst of events. */
export function useLists() {
  const { me, apiOver } = useSignedIn();
  return asQuery(
    useTopicSWR<ListSummary[]>(
      [me.id, 'lists'],
      (_key, { fetch, signal }) => apiOver(fetch).lists(signal),
      {
        ...options,
        topics: (lists) => (lists ?? []).flatMap((list) => topicsOf(list, me)),
      },
    ),
  );
}
