import { keepPreviousData } from '@tanstack/react-query';
import { REFETCH, useTopicQuery } from 'tidings/react-query';
import { type ListDetail, type ListSummary, topicsOf } from '../model.ts';
import { useSignedIn } from '../people/context.ts';
import { applyEvent } from './changes.ts';

export const listKey = (listId: string) => ['list', listId] as const;

/** One list, kept up to date by patching: every event carries what has changed, so nothing is fetched again. */
export function useList(summary: ListSummary) {
  const { me, api } = useSignedIn();
  return useTopicQuery<ListDetail>({
    queryKey: listKey(summary.id),
    queryFn: ({ signal }) => api.list(summary.id, signal),
    topics: topicsOf(summary, me),
    apply: (list, event) => applyEvent(list, event) ?? REFETCH,
  });
}

/** All lists with their counts, kept up to date by fetching again: one request for a burst of events. */
export function useLists() {
  const { me, api } = useSignedIn();
  return useTopicQuery<ListSummary[]>({
    queryKey: ['lists'],
    queryFn: ({ signal }) => api.lists(signal),
    topics: (lists) => (lists ?? []).flatMap((list) => topicsOf(list, me)),
    placeholderData: keepPreviousData,
  });
}
