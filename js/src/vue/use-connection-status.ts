/** The connection in words. */

import { type ComputedRef, computed, onScopeDispose, shallowRef } from "vue";
import { type Humane, type HumaneOptions, HumaneStatus } from "../core/humane.js";
import { useTidings } from "./provide.js";

export interface ConnectionStatus extends Humane {
  /** Try now, whatever the pause. */
  retry(): void;
}

/** What to tell the person at the page; trouble younger than `quietMs` (1,000) is not told. */
export function useConnectionStatus(options: HumaneOptions = {}): ComputedRef<ConnectionStatus> {
  const live = useTidings();
  const status = new HumaneStatus(live, options);
  const humane = shallowRef(status.get());
  if (typeof window !== "undefined") {
    onScopeDispose(
      status.subscribe(() => {
        humane.value = status.get();
      }),
    );
  }
  const retry = (): void => live.reconnect();
  return computed(() => ({ ...humane.value, retry }));
}
