/**
 * What somebody who is signed in has: a live connection, the REST API through it, and a cache. Made outside
 * React, so that rendering twice (as StrictMode does) never connects twice.
 */

import { useSyncExternalStore } from 'react';
import { connect, type Live } from 'tidings';
import { type Api, createApi, Refused, signIn } from './api.ts';
import { type Cached, clearCache, openCache } from './cache.tsx';
import type { Session } from './model.ts';
import { askedFor, forgetAsked, storedSession, storeSession } from './session.ts';

export interface Account extends Cached {
  session: Session;
  live: Live;
  api: Api;
  apiOver: (fetcher: typeof fetch) => Api;
}

interface Entrance {
  account: Account | null;
  /** A member is being signed in. */
  busy: boolean;
  /** Why nobody is signed in, where there is a reason to tell. */
  notice: string | null;
}

let entrance: Entrance = { account: null, busy: false, notice: null };
const listeners = new Set<() => void>();

export function useEntrance(): Entrance {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => entrance,
  );
}

/** When the page has loaded: go on as who was signed in in this tab, or as who the address names. */
export function resume(): void {
  const stored = storedSession();
  const asked = askedFor();
  if (stored && (!asked || asked === stored.member.id)) enter(stored);
  else if (asked) void signInAs(asked);
}

export async function signInAs(memberId: string): Promise<void> {
  show({ account: null, busy: true, notice: null });
  try {
    enter(await signIn(memberId));
  } catch (error) {
    const notice = error instanceof Error ? error.message : String(error);
    show({ account: null, busy: false, notice });
  }
}

export function signOut(notice: string | null = null): void {
  storeSession(null);
  forgetAsked();
  const { account } = entrance;
  show({ account: null, busy: false, notice });
  account?.live.close();
  if (account) clearCache(account);
}

function enter(session: Session): void {
  storeSession(session);
  show({ account: open(session), busy: false, notice: null });
}

function show(next: Entrance): void {
  entrance = next;
  for (const listener of listeners) listener();
}

/** Nothing is connected yet: that happens with the first topic that the page shows. */
function open(session: Session): Account {
  let { token } = session;
  const live = connect({
    // A client for each person: who signs in next gets a connection of their own.
    name: session.member.id,
    auth: async ({ force }) => {
      if (force) {
        const renewed = await signIn(session.member.id);
        storeSession(renewed);
        token = renewed.token;
      }
      return token;
    },
  });
  if (new URLSearchParams(location.search).has('debug')) window.__tidings = live;
  const apiOver = (fetcher: typeof fetch) => createApi(fetcher, () => token);
  const cached = openCache({ live, me: session.member, apiOver, onError: leaveIfSignedOut });
  return { session, live, api: apiOver(live.fetch), apiOver, ...cached };
}

/** The token has run out, or the member has left the family. */
export function leaveIfSignedOut(error: Error): void {
  if (error instanceof Refused && error.status === 401) signOut(error.message);
}

declare global {
  interface Window {
    /** The live client, for tests and the curious: only where the address has `?debug`. */
    __tidings?: Live;
  }
}
