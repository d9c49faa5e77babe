/** What was read is kept here: by TanStack Query. */

import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { Live } from 'tidings';
import { type Api, Unreachable } from './api.ts';
import type { Member } from './model.ts';

/** The cache of somebody who is signed in. */
export interface Cached {
  queries: QueryClient;
}

export interface CacheOptions {
  live: Live;
  me: Member;
  /** The API over another `fetch`. */
  apiOver: (fetcher: typeof fetch) => Api;
  /** Something could not be read. */
  onError: (error: Error) => void;
}

export function openCache({ onError }: CacheOptions): Cached {
  const queries = new QueryClient({
    queryCache: new QueryCache({ onError }),
    defaultOptions: {
      queries: {
        // Whether there is a network, only an attempt can tell.
        networkMode: 'always',
        retry: (failures, error) => error instanceof Unreachable && failures < 3,
      },
    },
  });
  return { queries };
}

export function clearCache({ queries }: Cached): void {
  queries.clear();
}

const signedOut = new QueryClient();

export function CacheProvider({
  cached,
  children,
}: {
  /** Null while nobody is signed in. */
  cached: Cached | null;
  children: ReactNode;
}) {
  return (
    <QueryClientProvider client={cached?.queries ?? signedOut}>{children}</QueryClientProvider>
  );
}
