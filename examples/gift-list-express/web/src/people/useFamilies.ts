import useSWR from 'swr';
import { readFamilies } from '../../../../gift-list/web/src/api.ts';
import { asQuery } from '../asQuery.ts';

/** All families with their members: the choice on the sign-in page. */
export const useFamilies = () => asQuery(useSWR('families', readFamilies));
