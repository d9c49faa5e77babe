/** The options of TanStack Query's mutations by which a change is laid, sent, and ended. */

import type { Live } from "../core/types.js";
import { Change, type ChangeOptions, type Target } from "../sync/change.js";

export interface MutationParts<TData, TVariables, TCached> {
  readonly live: Live;
  /** What the next change is laid over. */
  readonly target: () => Target;
  /** What the application says about its changes at the moment. */
  readonly options: () => ChangeOptions<TData, TVariables, TCached>;
}

/** The application's own callbacks, with whatever the library's version hands to them. */
interface Callbacks<TVariables> {
  readonly onMutate?: ((variables: TVariables, ...more: never[]) => unknown) | undefined;
  readonly onError?:
    | ((error: never, variables: TVariables, ...more: never[]) => unknown)
    | undefined;
}

/** The changes of one component that have no answer yet. */
export type UnderWay<TData, TVariables, TCached> = Map<unknown, Change<TData, TVariables, TCached>>;

export function changeCallbacks<TData, TVariables, TCached>(
  { live, target, options }: MutationParts<TData, TVariables, TCached>,
  underWay: UnderWay<TData, TVariables, TCached>,
  { onMutate, onError }: Callbacks<TVariables>,
): {
  onMutate: (variables: TVariables, ...more: unknown[]) => unknown;
  mutationFn: (variables: TVariables, ...more: unknown[]) => Promise<TData>;
  onError: (error: unknown, variables: TVariables, result: unknown, ...more: unknown[]) => unknown;
} {
  /** Once for a mutation, however often it is tried: between two tries its change stays on the screen. */
  const lay = (key: unknown, variables: TVariables): Change<TData, TVariables, TCached> => {
    const change = new Change(live, target(), variables, options);
    underWay.set(key, change);
    return change;
  };
  return {
    // Here and not with the request: a mutation that waits for its turn, or for the network, is seen at once.
    onMutate: (variables, ...more) => {
      lay(keyOf(variables, more), variables);
      return onMutate?.(variables, ...(more as never[]));
    },
    mutationFn: async (variables, ...more) => {
      const key = keyOf(variables, more);
      // One that was kept over a reload comes without its `onMutate`.
      const change = underWay.get(key) ?? lay(key, variables);
      const { result } = await change.send();
      underWay.delete(key);
      return result;
    },
    onError: (error, variables, result, ...more) => {
      const key = keyOf(variables, more);
      underWay.get(key)?.undo();
      underWay.delete(key);
      return onError?.(error as never, variables, result as never, ...(more as never[]));
    },
  };
}

/** What tells one mutation from another: the context that TanStack Query hands to its functions, where it does. */
function keyOf(variables: unknown, more: readonly unknown[]): unknown {
  return more[0] ?? variables;
}
