import type { CSSProperties } from 'react';
import type { Member } from '../model.ts';

/** The member's initial on their colour. Decorative: the name always stands beside it. */
export function Avatar({ member, size = 'm' }: { member: Member; size?: 's' | 'm' | 'l' }) {
  const style = { '--hue': member.hue } as CSSProperties;
  return (
    <span className={`avatar avatar-${size}`} style={style} aria-hidden="true">
      {member.name.charAt(0)}
    </span>
  );
}
