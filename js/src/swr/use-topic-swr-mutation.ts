"use client";
/** A change to SWR's data that is seen at once, and undone if it is refused. */

import { useCallback, useRef, useState } from "react";
import { type Key, unstable_serialize, useSWRConfig } from "swr";
import { useLatest } from "../react/latest.js";
import { useTidings } from "../react/provider.js";
import { Change, type ChangeOptions } from "../sync/change.js";
import type { ChangeTools } from "../sync/tools.js";
import { swrTarget } from "./cache.js";

export interface TopicSWRMutationOptions<Data, Variables, Cached>
  extends Omit<ChangeOptions<Data, Variables, Cached>, "send"> {
  onSuccess?: (data: Data, variables: Variables) => void;
  onError?: (error: unknown, variables: Variables) => void;
}

export interface TopicSWRMutation<Data, Variables> {
  /** Rejects for its caller with what the mutation's function throws. */
  trigger: (variables: Variables) => Promise<Data>;
  isMutating: boolean;
  /** That of the newest one; undefined where it has succeeded, or is under way. */
  error: unknown;
}

/**
 * The change is laid over the key's data at once (`useTopicSWR` shows it). It ends when its own event has been
 * applied (known by the trace that went out with the request), when a fetch that began later has answered, or
 * when it is refused.
 */
export function useTopicSWRMutation<Data = unknown, Variables = void, Cached = unknown>(
  key: Key,
  mutationFn: (variables: Variables, tools: ChangeTools) => Promise<Data>,
  options: TopicSWRMutationOptions<Data, Variables, Cached> = {},
): TopicSWRMutation<Data, Variables> {
  const live = useTidings();
  const swr = useSWRConfig();
  const latest = useLatest({ swr, key, ...options, send: mutationFn });
  const [state, setState] = useState<{ running: number; error: unknown }>(IDLE);
  const newest = useRef(0);

  const trigger = useCallback(
    async (variables: Variables): Promise<Data> => {
      const { swr: within, key: given } = latest.current;
      const plain = typeof given === "function" ? given() : given;
      const target = swrTarget(within, plain, unstable_serialize(plain));
      const change = new Change(live, target, variables, () => latest.current);
      newest.current += 1;
      const number = newest.current;
      const end = (error: unknown): void =>
        setState((before) => ({
          running: before.running - 1,
          error: number === newest.current ? error : before.error,
        }));
      setState(({ running }) => ({ running: running + 1, error: undefined }));
      try {
        const { result } = await change.send();
        end(undefined);
        latest.current.onSuccess?.(result, variables);
        return result;
      } catch (error) {
        change.undo();
        end(error);
        latest.current.onError?.(error, variables);
        throw error;
      }
    },
    [live, latest],
  );
  return { trigger, isMutating: state.running > 0, error: state.error };
}

const IDLE = Object.freeze({ running: 0, error: undefined });
