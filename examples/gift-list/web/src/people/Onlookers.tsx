import { usePresence } from 'tidings/react';
import { Avatar } from './Avatar.tsx';
import { useMember, useSignedIn } from './context.ts';

/** Who else has this list open now: small faces, with their names for who cannot see them. */
export function Onlookers({ listId }: { listId: string }) {
  const { me } = useSignedIn();
  const memberOf = useMember();
  const { users } = usePresence(`gift-list:${listId}`);
  const others = users.filter(({ user }) => user !== me.id).map(({ user }) => memberOf(user));
  if (others.length === 0) return null;
  const names = others.map(({ name }) => name);
  return (
    <ul
      className="onlookers"
      aria-label="Looking at this list too"
      title={`${list(names)} ${names.length === 1 ? 'is' : 'are'} looking too`}
      data-testid="onlookers"
    >
      {others.map((member) => (
        <li key={member.id}>
          <Avatar member={member} size="s" />
          <span className="sr-only">{member.name}</span>
        </li>
      ))}
    </ul>
  );
}

function list(names: readonly string[]): string {
  return new Intl.ListFormat('en', { type: 'conjunction' }).format(names);
}
