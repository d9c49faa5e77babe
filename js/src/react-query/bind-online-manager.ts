import { onlineManager } from "@tanstack/react-query";
import type { Live } from "../core/types.js";

/**
 * Let TanStack Query's `onlineManager` follow the real link: while the connection is live the page is online,
 * whatever the browser guesses; without it the browser's word counts. Returns the function that ends it.
 */
export function bindOnlineManager(live: Live): () => void {
  bind(
    (tell) => live.onStatus(tell),
    () => live.status.state === "live",
  );
  return () =>
    bind(
      () => () => {},
      () => false,
    );
}

function bind(watch: (tell: () => void) => () => void, isLive: () => boolean): void {
  onlineManager.setEventListener((setOnline) => {
    const tell = (): void => setOnline(isLive() || navigator.onLine !== false);
    const off = watch(tell);
    if (typeof window !== "undefined") {
      window.addEventListener("online", tell);
      window.addEventListener("offline", tell);
      tell();
    }
    return () => {
      off();
      if (typeof window === "undefined") return;
      window.removeEventListener("online", tell);
      window.removeEventListener("offline", tell);
    };
  });
}
