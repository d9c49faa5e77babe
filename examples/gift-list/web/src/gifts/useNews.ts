import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTopic } from 'tidings/react';
import { type Claim, type Gift, type ListDetail, type ListSummary, topicsOf } from '../model.ts';
import { useMember, useSignedIn } from '../people/context.ts';
import { useToast } from '../ui/toasts.tsx';
import { claimerOf, type ListEvent } from './changes.ts';
import { listKey } from './useList.ts';

/** The last thing that somebody else has done to the list, as a sentence. */
export function useNews(summary: ListSummary): string | null {
  const { me } = useSignedIn();
  const member = useMember();
  const queryClient = useQueryClient();
  const toast = useToast();
  const [news, setNews] = useState<{ listId: string; text: string } | null>(null);

  useTopic(topicsOf(summary, me), (event) => {
    if (event.data.user_id === me.id) return;
    const list = queryClient.getQueryData<ListDetail>(listKey(summary.id));
    const who = member(event.data.user_id).name;
    const text = sentence(who, event, list);
    if (text) setNews({ listId: summary.id, text });
    if (event.event === 'DELETED' && list && claimerOf(list, event.data.entity_id) === me.id) {
      const { name } = event.data.payload as Gift;
      toast({ tone: 'done', title: name, text: `${who} took it off the list. You had it.` });
    }
  });

  return news?.listId === summary.id ? news.text : null;
}

function sentence(who: string, event: ListEvent, list: ListDetail | undefined): string | null {
  if (event.topic.startsWith('gift-claims:')) {
    const claim = event.data.payload as Claim;
    const gift = list?.gifts.find((other) => other.id === claim.gift_id);
    if (!gift) return null;
    return claim.claimed_by
      ? `${who} is getting “${gift.name}”`
      : `${who} let go of “${gift.name}”`;
  }
  const { name } = event.data.payload as Gift;
  const done = { ADDED: 'added', UPDATED: 'changed', DELETED: 'removed' }[event.event];
  return done ? `${who} ${done} “${name}”` : null;
}
