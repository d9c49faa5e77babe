import type { ReactNode } from 'react';

/** Line icons of 20 by 20, in the colour of the text. All are decorative: the button says what it does. */
function Icon({ children }: { children: ReactNode }) {
  return (
    <svg className="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

export const PlusIcon = () => (
  <Icon>
    <path d="M10 4v12M4 10h12" />
  </Icon>
);

export const EditIcon = () => (
  <Icon>
    <path d="m4 16 .7-3.3L13 4.4a1.5 1.5 0 0 1 2.1 0l.5.5a1.5 1.5 0 0 1 0 2.1L7.3 15.3 4 16Z" />
  </Icon>
);

export const RemoveIcon = () => (
  <Icon>
    <path d="M4 6h12M8 6V4h4v2M6 6l.6 10h6.8L14 6M8.5 9v4.5M11.5 9v4.5" />
  </Icon>
);

export const BackIcon = () => (
  <Icon>
    <path d="M12 4 6 10l6 6" />
  </Icon>
);

export const CloseIcon = () => (
  <Icon>
    <path d="m5 5 10 10M15 5 5 15" />
  </Icon>
);

export const SwitchIcon = () => (
  <Icon>
    <path d="M4 7h11l-3-3M16 13H5l3 3" />
  </Icon>
);

/** The mark of the app: a gift tag. */
export const TagMark = () => (
  <svg className="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <path d="M3 16 12.5 5.4A4 4 0 0 1 15.5 4H25a4 4 0 0 1 4 4v16a4 4 0 0 1-4 4h-9.5a4 4 0 0 1-3-1.4Z" />
    <circle cx="11.5" cy="16" r="2.2" />
    <path className="mark-lines" d="M17 12h7.5M17 16h7.5M17 20h5" />
  </svg>
);

/** A parcel with nothing in it, for lists that are still empty. */
export const Parcel = () => (
  <svg className="parcel" viewBox="0 0 96 72" aria-hidden="true" focusable="false">
    <path d="M18 30h60v34a4 4 0 0 1-4 4H22a4 4 0 0 1-4-4Z" />
    <path d="M18 30 8 18h32l8 12M78 30l10-12H56l-8 12" />
    <path className="parcel-ribbon" d="M48 30v38" />
  </svg>
);
