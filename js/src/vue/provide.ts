/** Which client the components use. */

import { type App, getCurrentInstance, hasInjectionContext, type InjectionKey, inject } from "vue";
import { connect } from "../core/connect.js";
import type { ConnectOptions, Live } from "../core/types.js";

const LIVE: InjectionKey<Live> = Symbol.for("tidings.live") as InjectionKey<Live>;

/** Either a client, or the options for one; the same options give the same client. */
export type CreateTidingsOptions = { client: Live } | ({ client?: undefined } & ConnectOptions);

/** For `app.use(createTidings({ auth }))`. */
export function createTidings(options: CreateTidingsOptions = {}): { install(app: App): void } {
  return {
    install(app) {
      const { client, ...rest } = options as { client?: Live } & ConnectOptions;
      app.provide(LIVE, client ?? connect(rest));
    },
  };
}

/** The client that the application provides, else the page's default client. */
export function useTidings(): Live {
  const canInject = getCurrentInstance() !== null || hasInjectionContext();
  return (canInject ? inject(LIVE, null) : null) ?? connect();
}
