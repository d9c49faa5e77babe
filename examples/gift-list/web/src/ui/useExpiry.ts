import { useEffect, useState } from 'react';

/** Runs `expire` after `ms`, but not while the pointer or the focus rests on the element. */
export function useExpiry(ms: number, expire: () => void) {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held) return;
    const timer = setTimeout(expire, ms);
    return () => clearTimeout(timer);
  }, [held, ms, expire]);
  const hold = () => setHeld(true);
  const release = () => setHeld(false);
  return { onPointerEnter: hold, onPointerLeave: release, onFocus: hold, onBlur: release };
}
