import type { ListSummary } from '../model.ts';
import { Avatar } from '../people/Avatar.tsx';
import { useMember, useSignedIn } from '../people/context.ts';
import { untilDay, wishes } from '../ui/format.ts';
import { listHref } from '../ui/route.ts';

interface Props {
  lists: ListSummary[];
  /** The one that is open beside them. */
  shown: string | null;
  /** The lists are all that the page shows, so their title is the page's. */
  alone: boolean;
}

/** The family's lists, the next day to come first. */
export function ListNav({ lists, shown, alone }: Props) {
  const Title = alone ? 'h1' : 'h2';
  const { family, me } = useSignedIn();
  const member = useMember();
  return (
    <nav className="lists" aria-labelledby="lists-title">
      <Title className={alone ? undefined : 'overline'} id="lists-title">
        {family.name}
      </Title>
      <ul>
        {lists.map((list) => (
          <li key={list.id}>
            <a
              href={listHref(list.id)}
              data-testid={`list-${list.id}`}
              aria-current={list.id === shown ? 'page' : undefined}
            >
              <Avatar member={member(list.owner_id)} />
              <span className="list-text">
                <strong>{list.title}</strong>
                <span className="muted">
                  {list.owner_id === me.id ? 'Yours, ' : ''}
                  {untilDay(list.due_on)}
                </span>
              </span>
              <Count list={list} />
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Count({ list }: { list: ListSummary }) {
  if (list.claimed === null) {
    return (
      <span className="list-count">
        {list.gifts}
        <span className="sr-only"> {list.gifts === 1 ? 'wish' : 'wishes'}</span>
      </span>
    );
  }
  return (
    <span className="list-count" data-done={list.gifts > 0 && list.claimed === list.gifts}>
      <span aria-hidden="true">
        {list.claimed}/{list.gifts}
      </span>
      <span className="sr-only">
        {list.claimed} of {wishes(list.gifts)} taken care of
      </span>
    </span>
  );
}
