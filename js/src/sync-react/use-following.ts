"use client";
/** A component's use of a follower: the same for every cache that React knows. */

import { useEffect, useLayoutEffect, useState, useSyncExternalStore } from "react";
import type { Live } from "../core/types.js";
import { useLatest } from "../react/latest.js";
import { Follower } from "../sync/follower.js";
import type { Host } from "../sync/host.js";
import type { Layer } from "../sync/layers.js";
import { type FollowState, WAITING } from "../sync/liveness.js";
import type { Registry } from "../sync/registry.js";
import type { AnyRules } from "../sync/rules.js";

export interface Following {
  live: Live;
  registry: Registry;
  /** Of the data in its cache. */
  name: string;
  host: () => Host;
  /** Empty: nothing is followed. */
  topics: readonly string[];
  rules: () => AnyRules;
  spreadMs: number;
}

/** Before the effects in which the caches fetch; on a server neither runs. */
const useEarlyEffect = typeof window === "undefined" ? useEffect : useLayoutEffect;

/** Hold the data's follower while there are topics. It stands before the cache's own hook. */
export function useFollowing(following: Following): FollowState {
  const { live, registry, name, topics } = following;
  const latest = useLatest(following);
  const [state, setState] = useState<FollowState>(WAITING);
  const key = JSON.stringify(topics);
  const isOn = topics.length > 0;
  useEarlyEffect(() => {
    if (!isOn) return;
    const { follower, release } = registry.hold(name, () => {
      const { host, spreadMs } = latest.current;
      return new Follower({
        live,
        host: host(),
        layers: registry.layers(name),
        rules: () => latest.current.rules(),
        spreadMs,
      });
    });
    const unlisten = follower.liveness.listen(setState);
    return () => {
      unlisten();
      release();
    };
  }, [live, registry, name, isOn, latest]);
  useEarlyEffect(() => {
    const follower = isOn ? registry.follower(name) : undefined;
    follower?.follow(JSON.parse(key) as string[]);
    setState(follower?.liveness.state ?? WAITING);
  }, [registry, name, isOn, key]);
  return state;
}

/** What this page's own changes lay over the data. */
export function useLayers(registry: Registry, name: string): readonly Layer[] {
  const layers = registry.layers(name);
  return useSyncExternalStore(layers.subscribe, layers.get, layers.get);
}
