import { useState } from 'react';
import { unstable_serialize, useSWRConfig } from 'swr';
import { useTopic } from 'tidings/react';
import { claimerOf, type ListEvent } from '../../../../gift-list/web/src/gifts/changes.ts';
import {
  type Claim,
  type Gift,
  type ListDetail,
  type ListSummary,
  topicsOf,
} from '../../../../gift-list/web/src/model.ts';
import { useMember, useSignedIn } from '../../../../gift-list/web/src/people/context.ts';
import { useToast } from '../../../../gift-list/web/src/ui/toasts.tsx';
import { listKey } from './keys.ts';

/** The last thing that somebody else has done to the list, as a sentence. */
export function useNews(summary: ListSummary): string | null {
  const { me } = useSignedIn();
  const member = useMember();
  const { cache } = useSWRConfig();
  const toast = useToast();
  const [news, setNews] = useState<{ listId: string; text: string } | null>(null);

  useTopic(topicsOf(summary, me), (event) => {
    if (event.data.user_id === me.id) return;
    const list = cache.get(unstable_serialize(listKey(me.id, summary.id)))?.data as
      | ListDetail
      | undefined;
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
