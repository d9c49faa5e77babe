import { useQuery } from '@tanstack/react-query';
import { readFamilies } from '../api.ts';

/** All families with their members: the choice on the sign-in page. */
export const useFamilies = () => useQuery({ queryKey: ['families'], queryFn: readFamilies });
