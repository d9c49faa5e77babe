import { useEffect, useRef } from 'react';
import { useStayWhileWaiting } from '../gifts/useChanges.ts';
import { useLists } from '../gifts/useList.ts';
import { Bones } from '../ui/Bones.tsx';
import { useListInAddress, useWide } from '../ui/route.ts';
import { TopBar } from '../ui/TopBar.tsx';
import { Trouble } from '../ui/Trouble.tsx';
import { ListNav } from './ListNav.tsx';
import { ListPage } from './ListPage.tsx';

/** All of the app for somebody who is signed in: the lists, and beside or instead of them one list. */
export function Board() {
  const lists = useLists();
  const asked = useListInAddress();
  const wide = useWide();
  useStayWhileWaiting();

  useHeadingFocus(asked);

  const found = lists.data?.find((list) => list.id === asked);
  const shown = found ?? (wide && !asked ? lists.data?.[0] : undefined);
  const navShown = wide || !asked;
  return (
    <div className="board" data-wide={wide}>
      <button type="button" className="skip" onClick={focusHeading}>
        Skip to the gifts
      </button>
      <TopBar />
      {navShown && (
        <div className="side">
          {lists.isPending && <Bones rows={4} label="Loading the lists" />}
          {lists.isError && !lists.data && (
            <Trouble error={lists.error} onRetry={() => lists.refetch()} />
          )}
          {lists.data && <ListNav lists={lists.data} shown={shown?.id ?? null} alone={!wide} />}
        </div>
      )}
      <main>
        {shown && <ListPage key={shown.id} summary={shown} />}
        {lists.data && asked && !found && (
          <div className="empty">
            <p>There is no such list in your family.</p>
            <a className="button" href="#/">
              All lists
            </a>
          </div>
        )}
      </main>
    </div>
  );
}

/** Takes the focus to the heading when another list is opened, so that a screen reader reads it. */
function useHeadingFocus(asked: string | null) {
  const before = useRef(asked);
  useEffect(() => {
    if (before.current !== asked) focusHeading();
    before.current = asked;
  }, [asked]);
}

function focusHeading() {
  document.getElementById('list-title')?.focus({ preventScroll: true });
}
