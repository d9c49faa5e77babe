/** Whether a component is on the page: one that `KeepAlive` has put away needs no events. */

import { getCurrentInstance, onActivated, onDeactivated, type ShallowRef, shallowRef } from "vue";

/** Always true outside of components, such as in a store. */
export function useShown(): Readonly<ShallowRef<boolean>> {
  const shown = shallowRef(true);
  if (getCurrentInstance() === null) return shown;
  onActivated(() => {
    shown.value = true;
  });
  onDeactivated(() => {
    shown.value = false;
  });
  return shown;
}
