"use client";
import { type RefObject, useInsertionEffect, useRef } from "react";

/** The newest value, for handlers that are called later: an inline function costs no new subscription. */
export function useLatest<T>(value: T): RefObject<T> {
  const ref = useRef(value);
  useInsertionEffect(() => {
    ref.current = value;
  });
  return ref;
}
