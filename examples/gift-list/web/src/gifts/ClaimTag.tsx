import type { CSSProperties } from 'react';
import type { Gift } from '../model.ts';
import { useMember, useSignedIn } from '../people/context.ts';
import type { Change } from './changes.ts';

interface Props {
  gift: Gift;
  claimedBy: string | null;
  onChange: (change: Change) => void;
}

/** Who is getting the gift, as a paper tag on it; or the button to be the one. */
export function ClaimTag({ gift, claimedBy, onChange }: Props) {
  const { me } = useSignedIn();
  const claimer = useMember()(claimedBy);
  if (claimedBy === null) {
    return (
      <div className="claim">
        <button
          type="button"
          className="button button-quiet"
          data-testid={`claim-${gift.id}`}
          onClick={() => onChange({ kind: 'claim', gift })}
        >
          I’ll get it<span className="sr-only">: {gift.name}</span>
        </button>
      </div>
    );
  }
  if (claimedBy !== me.id) {
    return (
      <div className="claim">
        <Thread />
        <span className="tag" style={{ '--hue': claimer.hue } as CSSProperties}>
          {claimer.name} is getting it
        </span>
      </div>
    );
  }
  return (
    <div className="claim">
      <Thread />
      <span className="tag tag-mine">You’re getting it</span>
      <button
        type="button"
        className="link"
        data-testid={`unclaim-${gift.id}`}
        onClick={() => onChange({ kind: 'unclaim', gift })}
      >
        Let go<span className="sr-only"> of {gift.name}</span>
      </button>
    </div>
  );
}

/** What the tag hangs on. */
function Thread() {
  return (
    <svg className="thread" viewBox="0 0 20 40" preserveAspectRatio="none" aria-hidden="true">
      <path d="M9 0C5 14 7 30 17 40" vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
