import { createContext, type ReactNode, useCallback, useContext, useMemo, useState } from 'react';
import { CloseIcon } from './icons.tsx';
import { useExpiry } from './useExpiry.ts';

export interface Toast {
  /** `refused` is read out at once; `done` when the reader has finished. */
  tone: 'refused' | 'done';
  title: string;
  text: string;
  action?: { label: string; run: () => void };
}

type Shown = Toast & { key: number };

const ToastContext = createContext<(toast: Toast) => void>(() => undefined);

/** Shows a short message at the foot of the page. */
export const useToast = () => useContext(ToastContext);

const SHOWN_AT_ONCE = 3;

export function Toasts({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Shown[]>([]);
  const show = useCallback((toast: Toast) => {
    setToasts((before) => [
      ...before.slice(1 - SHOWN_AT_ONCE),
      { ...toast, key: (before.at(-1)?.key ?? 0) + 1 },
    ]);
  }, []);
  const drop = useCallback((key: number) => {
    setToasts((before) => before.filter((toast) => toast.key !== key));
  }, []);
  const of = useMemo(
    () => (tone: Toast['tone']) =>
      toasts
        .filter((toast) => toast.tone === tone)
        .map((toast) => <ToastCard key={toast.key} toast={toast} onClose={drop} />),
    [toasts, drop],
  );
  return (
    <ToastContext value={show}>
      {children}
      {/* Both regions are there from the start: a reader announces what changes in one, not a new one. */}
      <div className="toasts">
        <div role="alert">{of('refused')}</div>
        <div role="status">{of('done')}</div>
      </div>
    </ToastContext>
  );
}

const SHOWN_MS = 7_000;

function ToastCard({ toast, onClose }: { toast: Shown; onClose: (key: number) => void }) {
  const close = useCallback(() => onClose(toast.key), [onClose, toast.key]);
  const hold = useExpiry(SHOWN_MS, close);
  return (
    <div className={`toast toast-${toast.tone}`} data-testid="toast" {...hold}>
      <p>
        <strong>{toast.title}</strong>
        <span>{toast.text}</span>
      </p>
      {toast.action && (
        <button
          type="button"
          className="link"
          onClick={() => {
            toast.action?.run();
            close();
          }}
        >
          {toast.action.label}
        </button>
      )}
      <button type="button" className="icon-button" onClick={close}>
        <CloseIcon />
        <span className="sr-only">Dismiss</span>
      </button>
    </div>
  );
}
