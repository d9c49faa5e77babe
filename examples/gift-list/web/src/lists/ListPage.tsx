import { useCallback, useRef, useState } from 'react';
import type { GiftFields } from '../api.ts';
import { type Change, claimerOf } from '../gifts/changes.ts';
import { GiftForm } from '../gifts/GiftForm.tsx';
import { GiftRow } from '../gifts/GiftRow.tsx';
import { useChange, useWaiting } from '../gifts/useChanges.ts';
import { useKeptFocus } from '../gifts/useKeptFocus.ts';
import { useList } from '../gifts/useList.ts';
import { useMoves } from '../gifts/useMoves.ts';
import { type Gift, type ListDetail, type ListSummary, newId } from '../model.ts';
import { useSignedIn } from '../people/context.ts';
import { Bones } from '../ui/Bones.tsx';
import { Parcel, PlusIcon } from '../ui/icons.tsx';
import { Trouble } from '../ui/Trouble.tsx';
import { useToast } from '../ui/toasts.tsx';
import { ListHead } from './ListHead.tsx';

/** One list: its heading at once, from the summary; its gifts when they have come. */
export function ListPage({ summary }: { summary: ListSummary }) {
  const list = useList(summary);
  const change = useUndoableChange(summary.id);
  const [form, setForm] = useState<{ gift: Gift | null } | null>(null);

  const save = (fields: Partial<GiftFields>) => {
    const gift = form?.gift;
    if (gift) change({ kind: 'edit', gift, fields });
    else change({ kind: 'add', gift: { id: newId(), name: '', note: '', price: null, ...fields } });
  };

  return (
    <article className="page" aria-labelledby="list-title">
      <ListHead summary={summary} list={list.data}>
        <button
          type="button"
          className="button button-main"
          data-testid="add-gift"
          disabled={!list.data}
          onClick={() => setForm({ gift: null })}
        >
          <PlusIcon />
          Add a wish
        </button>
      </ListHead>
      {list.isPending && <Bones rows={5} label="Loading the gifts" />}
      {list.isError && !list.data && <Trouble error={list.error} onRetry={() => list.refetch()} />}
      {list.data && (
        <Gifts list={list.data} onChange={change} onEdit={(gift) => setForm({ gift })} />
      )}
      {form && <GiftForm gift={form.gift} onSave={save} onClose={() => setForm(null)} />}
    </article>
  );
}

interface GiftsProps {
  list: ListDetail;
  onChange: (change: Change) => void;
  onEdit: (gift: Gift) => void;
}

function Gifts({ list, onChange, onEdit }: GiftsProps) {
  const { me } = useSignedIn();
  const waiting = useWaiting(list.id);
  const container = useRef<HTMLUListElement>(null);
  const readings = list.gifts.map((gift): [string, string] => [
    gift.id,
    JSON.stringify([gift.name, gift.note, gift.price, claimerOf(list, gift.id)]),
  ]);
  useMoves(container, new Map(readings));
  useKeptFocus(container);
  return (
    <>
      <ul className="gifts" ref={container} data-own={list.owner_id === me.id}>
        {list.gifts.map((gift) => (
          <GiftRow
            key={gift.id}
            gift={gift}
            claimedBy={claimerOf(list, gift.id)}
            ownList={list.owner_id === me.id}
            waiting={waiting.has(gift.id)}
            onChange={onChange}
            onEdit={onEdit}
          />
        ))}
      </ul>
      {list.gifts.length === 0 && (
        <div className="empty">
          <Parcel />
          <p>Nothing wished for yet.</p>
        </div>
      )}
    </>
  );
}

/** A change, with a way back for the one that takes something away. */
function useUndoableChange(listId: string): (change: Change) => void {
  const change = useChange(listId);
  const toast = useToast();
  return useCallback(
    (made) => {
      change(made);
      if (made.kind !== 'remove') return;
      const { gift } = made;
      const undo = { label: 'Undo', run: () => change({ kind: 'restore', gift }) };
      toast({ tone: 'done', title: gift.name, text: 'Taken off the list.', action: undo });
    },
    [change, toast],
  );
}
