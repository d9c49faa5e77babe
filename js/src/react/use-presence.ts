"use client";
/** Who else looks at what this component shows. */

import { useCallback, useEffect, useRef, useState } from "react";
import type { Presence, PresenceView, State } from "../presence/index.js";
import { useLatest } from "./latest.js";
import { useTidings } from "./provider.js";

export interface PresenceResult<S extends State> extends PresenceView<S> {
  /** Say something else of oneself, such as that one is typing; also by another `me`. */
  update(state: S): void;
}

const NONE: readonly never[] = Object.freeze([]);
const NOBODY: PresenceView<never> = Object.freeze({
  members: NONE,
  users: NONE,
  count: 0,
  complete: true,
  state: "joining",
  error: null,
});

/**
 * Be present on a topic for as long as the component is mounted, and see who else is; with null, do neither.
 *
 * @param me what one says of oneself; it may be written inline, for it is compared by its content.
 */
export function usePresence<S extends State = State>(
  topic: string | null,
  me?: S,
): PresenceResult<S> {
  const live = useTidings();
  const handle = useRef<Presence<S> | null>(null);
  const [view, setView] = useState<PresenceView<S>>(
    NOBODY as PresenceView<never> as PresenceView<S>,
  );
  const newest = useLatest(me);
  const key = me === undefined ? undefined : JSON.stringify(me);

  useEffect(() => {
    if (topic === null) return;
    let own: Presence<S> | null = null;
    let gone = false;
    // Its code is fetched by the first page that needs it.
    import("../presence/index.js").then(
      ({ presence }) => {
        if (gone) return;
        const state = newest.current;
        own = presence<S>(live, topic, state === undefined ? {} : { state });
        handle.current = own;
        setView(own.view);
        own.onChange(setView);
      },
      () => {}, // the page goes on without faces
    );
    return () => {
      gone = true;
      own?.leave();
      if (handle.current === own) handle.current = null;
      setView(NOBODY as PresenceView<never> as PresenceView<S>);
    };
  }, [live, topic, newest]);

  useEffect(() => {
    if (key !== undefined) handle.current?.update(JSON.parse(key) as S);
  }, [key]);

  const update = useCallback((state: S) => handle.current?.update(state), []);
  return { ...view, update };
}
