"use client";
import { useSyncExternalStore } from "react";
import type { ChangeQueue, WaitingChange } from "../sync/queue.js";

const NONE: readonly WaitingChange[] = Object.freeze([]);

/** The changes that have no answer yet, in their order. */
export function useWaitingChanges(queue: ChangeQueue): readonly WaitingChange[] {
  return useSyncExternalStore(queue.subscribe, queue.get, () => NONE);
}
