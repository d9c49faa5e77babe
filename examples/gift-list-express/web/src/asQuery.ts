import type { SWRResponse } from 'swr';

/** What SWR answers, in the words of the pages. */
export const asQuery = <T>({ data, error, mutate }: SWRResponse<T, Error>) => ({
  data,
  error: error as Error,
  isError: error !== undefined,
  isPending: data === undefined && error === undefined,
  refetch: () => mutate(),
});
