"use client";
/** A badge that says how the connection is: a shape, a word, and what one can do. Its style is `badge.css`. */

import { createElement, type ReactElement } from "react";
import type { HumaneState, Words } from "../core/humane.js";
import { type ConnectionStatus, useConnectionStatus } from "./use-connection-status.js";

export interface ConnectionBadgeProps {
  className?: string;
  quietMs?: number;
  words?: Partial<Words>;
  /** The words on its button. */
  retryLabel?: string;
  /** The same where pressing it fetches anew. */
  refreshLabel?: string;
  signInLabel?: string;
  /** What "Sign in" does; without it there is no such button. */
  onSignIn?: () => void;
}

/** Told apart by shape and text, not by colour alone. */
const SHAPES: Readonly<Record<HumaneState, string>> = {
  quiet: "●",
  back: "●",
  connecting: "◐",
  reconnecting: "◐",
  paused: "◐",
  refreshing: "◐",
  offline: "▲",
  action_needed: "▲",
};

export function ConnectionBadge(props: ConnectionBadgeProps): ReactElement {
  const { className, quietMs, words } = props;
  const status = useConnectionStatus({
    ...(quietMs === undefined ? {} : { quietMs }),
    ...(words === undefined ? {} : { words }),
  });
  return createElement(
    "div",
    {
      className: className === undefined ? "tidings-badge" : `tidings-badge ${className}`,
      "data-state": status.state,
      "data-tone": status.tone,
      title: status.detail === "" ? undefined : status.detail,
    },
    createElement(
      "span",
      { className: "tidings-badge-shape", "aria-hidden": true },
      SHAPES[status.state],
    ),
    createElement("span", { className: "tidings-badge-text", "aria-hidden": true }, status.text),
    // There from the first render on, so that a change of its text is announced; only what matters is.
    createElement(
      "span",
      { className: "tidings-badge-announcement", role: "status" },
      status.announcement,
    ),
    button(status, props),
  );
}

function button(
  { action, state, retry }: ConnectionStatus,
  props: ConnectionBadgeProps,
): ReactElement | null {
  const { retryLabel = "Try now", refreshLabel = "Refresh now", signInLabel = "Sign in" } = props;
  const run = action === "retry" ? retry : action === "sign_in" ? props.onSignIn : undefined;
  if (run === undefined) return null;
  const retryWords = state === "refreshing" ? refreshLabel : retryLabel;
  const label = action === "retry" ? retryWords : signInLabel;
  return createElement(
    "button",
    { type: "button", className: "tidings-badge-action", onClick: () => run() },
    label,
  );
}
