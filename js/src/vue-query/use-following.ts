/** A component's use of a query's follower. */

import type { QueryClient } from "@tanstack/vue-query";
import { computed, onScopeDispose, type ShallowRef, shallowRef, watch } from "vue";
import { SPREAD_MS } from "../sync/coalesce.js";
import type { FollowOptions } from "../sync/follow-options.js";
import { Follower } from "../sync/follower.js";
import type { Layer, Layers } from "../sync/layers.js";
import { type FollowState, WAITING } from "../sync/liveness.js";
import { rulesOf } from "../sync/rules.js";
import { topicsOf } from "../sync/topics.js";
import { queryHost } from "../tanstack/host.js";
import { useTidings } from "../vue/provide.js";
import { useShown } from "../vue/use-shown.js";
import { clientLike, LIBRARY, registryFor } from "./library.js";

interface Followed<T> extends FollowOptions<T> {
  readonly queryKey: readonly unknown[];
  readonly enabled?: boolean | undefined;
}

/** Hold the query's follower while there are topics; it stands before `useQuery`, which fetches. */
export function useFollowing<T>(
  client: QueryClient,
  hash: () => string,
  options: () => Followed<T>,
  data: () => T | undefined,
): { isOn: () => boolean; state: Readonly<ShallowRef<FollowState>> } {
  const live = useTidings();
  const registry = registryFor(client);
  const shown = useShown();
  const topics = computed(() => {
    const { live: wanted = true, enabled = true, topics: given } = options();
    const isWanted = wanted && enabled && shown.value && typeof window !== "undefined";
    return isWanted ? topicsOf(given, data()) : [];
  });
  const isOn = computed(() => topics.value.length > 0);
  const state = shallowRef<FollowState>(WAITING);
  let release = (): void => {};

  const hold = (name: string): void => {
    const { follower, release: end } = registry.hold(name, () => {
      const { queryKey, spreadMs = SPREAD_MS } = options();
      return new Follower({
        live,
        host: queryHost(clientLike(client), LIBRARY, queryKey, name),
        layers: registry.layers(name),
        rules: () => rulesOf(options().sync, options().apply),
        spreadMs,
      });
    });
    const unlisten = follower.liveness.listen((next) => {
      state.value = next;
    });
    release = () => {
      unlisten();
      end();
    };
    state.value = follower.liveness.state;
  };
  watch(
    [hash, isOn],
    ([name, isWanted]) => {
      release();
      release = () => {};
      state.value = WAITING;
      if (isWanted) hold(name);
    },
    { immediate: true },
  );
  watch(
    [hash, () => topics.value.join("\n")],
    () => {
      if (isOn.value) registry.follower(hash())?.follow(topics.value);
      state.value = registry.follower(hash())?.liveness.state ?? WAITING;
    },
    { immediate: true },
  );
  onScopeDispose(() => release());
  return { isOn: () => isOn.value, state };
}

/** What this page's own changes lay over the data. */
export function useLayers(layers: () => Layers): Readonly<ShallowRef<readonly Layer[]>> {
  const over = shallowRef<readonly Layer[]>(layers().get());
  let off = (): void => {};
  watch(
    layers,
    (of) => {
      off();
      const tell = (): void => {
        over.value = of.get();
      };
      off = of.subscribe(tell);
      tell();
    },
    { immediate: true },
  );
  onScopeDispose(() => off());
  return over;
}
