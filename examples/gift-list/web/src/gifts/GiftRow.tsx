import type { Gift } from '../model.ts';
import { useSignedIn } from '../people/context.ts';
import { price } from '../ui/format.ts';
import { EditIcon, RemoveIcon } from '../ui/icons.tsx';
import { useLate } from '../ui/useLate.ts';
import { ClaimTag } from './ClaimTag.tsx';
import type { Change } from './changes.ts';

interface Props {
  gift: Gift;
  /** Who takes care of it; null where nobody does, and always on one's own list. */
  claimedBy: string | null;
  ownList: boolean;
  waiting: boolean;
  onChange: (change: Change) => void;
  onEdit: (gift: Gift) => void;
}

/** An answer that comes sooner than this needs no words. */
const WAITING_SHOWN_AFTER_MS = 800;

export function GiftRow({ gift, claimedBy, ownList, waiting, onChange, onEdit }: Props) {
  const { me } = useSignedIn();
  const late = useLate(waiting, WAITING_SHOWN_AFTER_MS);
  // The owner may take off any wish; others leave alone what somebody is already getting.
  const mayRemove = ownList || claimedBy === null || claimedBy === me.id;
  return (
    <li
      className="gift"
      data-row={gift.id}
      data-testid={`gift-${gift.id}`}
      data-claimed={claimedBy ?? ''}
      data-revision={gift.revision}
      data-waiting={waiting}
    >
      <div className="gift-text">
        <h2 className="gift-name" data-testid="gift-name">
          {gift.name}
        </h2>
        {gift.note && <p className="muted">{gift.note}</p>}
        {late && <p className="gift-waiting">Waiting to be sent</p>}
      </div>
      <p className="gift-price">{gift.price !== null && price(gift.price)}</p>
      {!ownList && <ClaimTag gift={gift} claimedBy={claimedBy} onChange={onChange} />}
      <div className="gift-tools">
        <button
          type="button"
          className="icon-button"
          data-testid={`edit-${gift.id}`}
          onClick={() => onEdit(gift)}
        >
          <EditIcon />
          <span className="sr-only">Change {gift.name}</span>
        </button>
        {mayRemove && (
          <button
            type="button"
            className="icon-button"
            data-testid={`delete-${gift.id}`}
            onClick={() => onChange({ kind: 'remove', gift })}
          >
            <RemoveIcon />
            <span className="sr-only">Remove {gift.name}</span>
          </button>
        )}
      </div>
    </li>
  );
}
