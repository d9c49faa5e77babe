/**
 * Who is signed in, in this tab only: sessionStorage, so that two tabs can be two members.
 * `/?as=ana` signs in as Ana without asking.
 */

import type { Session } from './model.ts';

const KEY = 'gift-list.session';

export function storedSession(): Session | null {
  try {
    const text = sessionStorage.getItem(KEY);
    return text ? (JSON.parse(text) as Session) : null;
  } catch {
    return null;
  }
}

export function storeSession(session: Session | null): void {
  try {
    if (session) sessionStorage.setItem(KEY, JSON.stringify(session));
    else sessionStorage.removeItem(KEY);
  } catch {
    // Storage is closed to us (a private window, perhaps): the session then lasts until a reload.
  }
}

/** The id of the member that the address names, if it does. */
export function askedFor(): string | null {
  return new URLSearchParams(location.search).get('as');
}

/** Take the member out of the address, so that a reload asks who it is. */
export function forgetAsked(): void {
  const url = new URL(location.href);
  url.searchParams.delete('as');
  history.replaceState(null, '', url);
}
