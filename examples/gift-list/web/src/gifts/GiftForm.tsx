import { type FormEvent, useEffect, useId, useRef, useState } from 'react';
import type { GiftFields } from '../api.ts';
import type { Gift } from '../model.ts';
import { readPrice } from '../ui/format.ts';
import { CloseIcon } from '../ui/icons.tsx';

interface Props {
  /** The gift to change; null to add one. */
  gift: Gift | null;
  /** Called with the fields that the user has changed (all of them for a new gift). */
  onSave: (fields: Partial<GiftFields> & { name?: string }) => void;
  /** Called once the dialog is closed, whether something was saved or not. */
  onClose: () => void;
}

/** The dialog to add or change a wish. It is in the page only while it is open. */
export function GiftForm({ gift, onSave, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  // As it was when the dialog opened: what somebody else changes meanwhile is not sent back as one's own.
  const [initial] = useState<GiftFields>({
    name: gift?.name ?? '',
    note: gift?.note ?? '',
    price: gift?.price ?? null,
  });
  const [priceFault, setPriceFault] = useState<string | null>(null);

  useEffect(() => {
    dialog.current?.showModal();
    dialog.current?.querySelector('input')?.focus();
  }, []);

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const amount = readPrice(String(form.get('price')));
    if (amount === undefined) {
      setPriceFault('An amount such as 24.50, or nothing.');
      event.currentTarget.querySelector<HTMLInputElement>('[name=price]')?.focus();
      return;
    }
    const name = String(form.get('name')).trim();
    const fields = { name, note: String(form.get('note')).trim(), price: amount };
    if (!name) return;
    const changed = Object.entries(fields).filter(
      ([field, value]) => !gift || value !== initial[field as keyof GiftFields],
    );
    if (changed.length > 0) onSave(Object.fromEntries(changed));
    dialog.current?.close();
  };

  return (
    <dialog ref={dialog} className="dialog" aria-labelledby={title} onClose={onClose}>
      <form onSubmit={submit} data-testid="gift-form">
        <header>
          <h2 id={title}>{gift ? 'Change the wish' : 'Add a wish'}</h2>
          <button type="button" className="icon-button" onClick={() => dialog.current?.close()}>
            <CloseIcon />
            <span className="sr-only">Close</span>
          </button>
        </header>
        <TextField label="Name" name="name" value={initial.name} maxLength={120} required />
        <TextField
          label="Note"
          name="note"
          value={initial.note}
          maxLength={400}
          hint="Size, colour, where to find it"
        />
        <TextField
          label="Price"
          name="price"
          value={initial.price ?? ''}
          maxLength={10}
          hint="In euros, about"
          fault={priceFault}
          numeric
        />
        <footer>
          <button type="button" className="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" className="button button-main">
            {gift ? 'Save' : 'Add to the list'}
          </button>
        </footer>
      </form>
    </dialog>
  );
}

interface FieldProps {
  label: string;
  name: keyof GiftFields;
  value: string;
  maxLength: number;
  hint?: string;
  fault?: string | null;
  required?: boolean;
  numeric?: boolean;
}

function TextField({ label, name, value, maxLength, hint, fault, required, numeric }: FieldProps) {
  const id = useId();
  const help = fault ?? hint;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        name={name}
        defaultValue={value}
        maxLength={maxLength}
        required={required}
        inputMode={numeric ? 'decimal' : 'text'}
        autoComplete="off"
        pattern={required ? '.*\\S.*' : undefined}
        aria-describedby={help ? `${id}-help` : undefined}
        aria-invalid={fault ? true : undefined}
      />
      {help && (
        <p id={`${id}-help`} className={fault ? 'fault' : 'muted'}>
          {help}
        </p>
      )}
    </div>
  );
}
