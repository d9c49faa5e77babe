/** The REST API, typed. Every call goes through the `fetch` it is given: `live.fetch` once signed in. */

import type { Family, Gift, ListDetail, ListSummary, Session } from './model.ts';

/** The server understood the request and did not carry it out; `message` is fit to be shown. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** No answer, or none from our server: nothing is known of what became of the request. */
export class Unreachable extends Error {
  constructor() {
    super('The server can’t be reached just now.');
  }
}

export const readFamilies = (): Promise<Family[]> => call(fetch, 'GET', '/api/members');

export const signIn = (member_id: string): Promise<Session> =>
  call(fetch, 'POST', '/api/login', { body: { member_id } });

export type NewGift = Pick<Gift, 'id' | 'name' | 'note' | 'price'>;
export type GiftFields = Pick<Gift, 'name' | 'note' | 'price'>;

export type Api = ReturnType<typeof createApi>;

/** The calls of somebody who is signed in. */
export function createApi(fetcher: typeof fetch, token: () => string) {
  const send = <T>(method: string, path: string, more: Partial<Options> = {}): Promise<T> =>
    call(fetcher, method, path, { ...more, token: token() });
  return {
    lists: (signal: AbortSignal) => send<ListSummary[]>('GET', '/api/lists', { signal }),
    list: (id: string, signal: AbortSignal) =>
      send<ListDetail>('GET', `/api/lists/${id}`, { signal }),
    add: (listId: string, gift: NewGift) =>
      send('POST', `/api/lists/${listId}/gifts`, { body: gift }),
    edit: (id: string, fields: Partial<GiftFields>) =>
      send('PATCH', `/api/gifts/${id}`, { body: fields }),
    remove: (id: string) => send('DELETE', `/api/gifts/${id}`),
    restore: (id: string) => send('POST', `/api/gifts/${id}/restore`),
    claim: (id: string) => send('PUT', `/api/gifts/${id}/claim`),
    unclaim: (id: string) => send('DELETE', `/api/gifts/${id}/claim`),
  };
}

interface Options {
  token: string;
  body: unknown;
  signal: AbortSignal;
}

async function call<T>(
  fetcher: typeof fetch,
  method: string,
  path: string,
  { token, body, signal }: Partial<Options> = {},
): Promise<T> {
  const headers = new Headers();
  if (token) headers.set('Authorization', `Bearer ${token}`);
  if (body !== undefined) headers.set('Content-Type', 'application/json');
  const init: RequestInit = { method, headers };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (signal) init.signal = signal;
  let response: Response;
  try {
    response = await fetcher(path, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable();
  }
  if (response.status === 204) return undefined as T;
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer as T;
  // A proxy's own page, or a server that is going down: as good as no answer.
  if (!answer?.error || response.status >= 500) throw new Unreachable();
  throw new Refused(response.status, answer.error.code, answer.error.message);
}
