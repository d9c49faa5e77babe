import { createContext, useContext } from 'react';
import type { Account } from '../account.ts';
import type { Api } from '../api.ts';
import type { Family, Member } from '../model.ts';

export const SignedInContext = createContext<Account | null>(null);

interface SignedIn {
  me: Member;
  family: Family;
  api: Api;
  /** The same API over another `fetch`. */
  apiOver: (fetcher: typeof fetch) => Api;
}

/** What the pages need to know of who is signed in. */
export function useSignedIn(): SignedIn {
  const account = useContext(SignedInContext);
  if (!account) throw new Error('useSignedIn belongs below <SignedInContext>');
  const { session, api, apiOver } = account;
  return { me: session.member, family: session.family, api, apiOver };
}

const somebody: Member = { id: '', name: 'Somebody', role: '', hue: 80 };

/** Finds a member of the family by id; one who has left it is "Somebody". */
export function useMember(): (id: string | null | undefined) => Member {
  const { family } = useSignedIn();
  return (id) => family.members.find((member) => member.id === id) ?? somebody;
}
