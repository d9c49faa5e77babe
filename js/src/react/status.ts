"use client";
/** `<tidings-status>` as a component: `import { TidingsStatus } from "tidings/react/status"`. */

import { createElement, type ReactElement, useEffect, useRef } from "react";
import "../elements/index.js";
import type { TidingsStatus as Element, StatusWords } from "../elements/status.js";
import { useLatest } from "./latest.js";
import { useTidings } from "./provider.js";

export interface TidingsStatusProps {
  className?: string;
  /** Also a banner while offline, or where something is to be done. */
  banner?: boolean;
  quietMs?: number;
  /** How many changes wait for the network. */
  waiting?: number;
  words?: Partial<StatusWords>;
  /** What "Sign in" does; without it there is no such button. */
  onSignIn?: () => void;
}

/** A badge, and with `banner` a banner, in a shadow root of their own: no style sheet is needed, and none leaks. */
export function TidingsStatus(props: TidingsStatusProps): ReactElement {
  const { className, banner = false, quietMs, waiting, words, onSignIn } = props;
  const live = useTidings();
  const element = useRef<Element>(null);
  const signIn = useLatest(onSignIn);
  const spelled = JSON.stringify(words ?? {});
  useEffect(() => {
    const { current } = element;
    if (current === null) return undefined;
    current.words = JSON.parse(spelled) as Partial<StatusWords>;
    current.client = live;
    const run = (): void => signIn.current?.();
    current.addEventListener("tidings-sign-in", run);
    return () => current.removeEventListener("tidings-sign-in", run);
  }, [live, spelled, signIn]);
  return createElement("tidings-status", {
    ref: element,
    class: className,
    banner: banner ? "" : undefined,
    "sign-in": onSignIn === undefined ? undefined : "",
    "quiet-ms": quietMs,
    waiting,
  });
}
