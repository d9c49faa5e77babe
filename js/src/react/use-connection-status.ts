"use client";
/** The connection in words. */

import { useCallback, useMemo, useSyncExternalStore } from "react";
import { ASLEEP, type Humane, type HumaneOptions, HumaneStatus } from "../core/humane.js";
import { useTidings } from "./provider.js";

export interface ConnectionStatus extends Humane {
  /** Try now, whatever the pause. */
  retry(): void;
}

export type UseConnectionStatusOptions = HumaneOptions;

/** What to tell the person at the page; trouble younger than `quietMs` (1,000) is not told. */
export function useConnectionStatus(options: UseConnectionStatusOptions = {}): ConnectionStatus {
  const live = useTidings();
  const key = JSON.stringify(options);
  const store = useMemo(
    () => new HumaneStatus(live, JSON.parse(key) as HumaneOptions),
    [live, key],
  );
  const humane = useSyncExternalStore(store.subscribe, store.get, () => ASLEEP);
  const retry = useCallback(() => live.reconnect(), [live]);
  return useMemo(() => ({ ...humane, retry }), [humane, retry]);
}
