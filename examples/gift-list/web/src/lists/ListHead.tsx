import { type ReactNode, useEffect } from 'react';
import { claimerOf } from '../gifts/changes.ts';
import { useNews } from '../gifts/useNews.ts';
import type { ListDetail, ListSummary } from '../model.ts';
import { Avatar } from '../people/Avatar.tsx';
import { useMember, useSignedIn } from '../people/context.ts';
import { Onlookers } from '../people/Onlookers.tsx';
import { longDay, untilDay, wishes } from '../ui/format.ts';
import { BackIcon } from '../ui/icons.tsx';

interface Props {
  summary: ListSummary;
  list: ListDetail | undefined;
  /** The button that adds a wish. */
  children: ReactNode;
}

export function ListHead({ summary, list, children }: Props) {
  const { me } = useSignedIn();
  const owner = useMember()(summary.owner_id);
  const own = owner.id === me.id;
  const news = useNews(summary);
  useEffect(() => {
    document.title = `${summary.title} · Gift list`;
  }, [summary.title]);
  return (
    <header className="list-head">
      <a className="back" href="#/">
        <BackIcon />
        All lists
      </a>
      <div className="list-head-row">
        <Avatar member={owner} size="l" />
        <div className="list-head-text">
          <h1 id="list-title" tabIndex={-1}>
            {summary.title}
          </h1>
          <p className="muted">
            {own ? 'For you' : `For ${owner.name}`},{' '}
            <span className="nowrap">{longDay(summary.due_on)}</span>,{' '}
            <span className="nowrap">{untilDay(summary.due_on)}</span>
          </p>
        </div>
        {children}
      </div>
      <div className="state">
        <div className="state-now">
          <p>{own ? 'Who is getting what is a secret.' : taken(list)}</p>
          <Onlookers listId={summary.id} />
        </div>
        {/* Always there: a screen reader announces what is put into a region that it knows. */}
        <p className="news" role="status">
          {news}
        </p>
      </div>
      {!own && <Marks list={list} />}
    </header>
  );
}

function taken(list: ListDetail | undefined): string {
  if (!list) return '\u00a0';
  const claimed = list.gifts.filter((gift) => claimerOf(list, gift.id) !== null);
  return `${claimed.length} of ${wishes(list.gifts.length)} taken care of`;
}

/** One mark a gift, filled when somebody takes care of it. */
function Marks({ list }: { list: ListDetail | undefined }) {
  return (
    <div className="progress-marks" aria-hidden="true">
      {list?.gifts.map((gift) => (
        <span key={gift.id} data-taken={claimerOf(list, gift.id) !== null} />
      ))}
    </div>
  );
}
