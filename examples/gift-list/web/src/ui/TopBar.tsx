import { ConnectionBadge } from 'tidings/react';
import { signOut } from '../account.ts';
import { Avatar } from '../people/Avatar.tsx';
import { useSignedIn } from '../people/context.ts';
import { SwitchIcon, TagMark } from './icons.tsx';

export function TopBar() {
  const { me } = useSignedIn();
  return (
    <header className="top">
      <a className="brand" href="#/">
        <TagMark />
        Gift list
      </a>
      <div className="top-badge" data-testid="connection-badge">
        <ConnectionBadge />
      </div>
      <button type="button" className="whoami" data-testid="sign-out" onClick={() => signOut()}>
        <Avatar member={me} size="s" />
        <span>{me.name}</span>
        <SwitchIcon />
        <span className="sr-only">, be somebody else</span>
      </button>
    </header>
  );
}
