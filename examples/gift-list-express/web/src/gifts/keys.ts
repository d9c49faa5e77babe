/** Where SWR keeps a list as a member sees it: the same list without claims is another one. */
export const listKey = (memberId: string, listId: string) => [memberId, 'list', listId];
