"use client";
/** Which client the components below use. */

import { createContext, createElement, type ReactElement, type ReactNode, useContext } from "react";
import { connect } from "../core/connect.js";
import type { ConnectOptions, Live } from "../core/types.js";

const LiveContext = createContext<Live | null>(null);

/** Either a client that was made outside of React, or the options for one; the same options give the same client. */
export type TidingsProviderProps = { children?: ReactNode } & (
  | { client: Live }
  | ({ client?: undefined } & ConnectOptions)
);

/**
 * The client of the page. Options may be written inline: equal ones mean the same client on every render, and
 * their functions may change. It is not closed on unmount, for it goes idle by itself when nothing uses it.
 */
export function TidingsProvider({ children, ...props }: TidingsProviderProps): ReactElement {
  const { client, ...options } = props as { client?: Live } & ConnectOptions;
  return createElement(LiveContext.Provider, { value: client ?? connect(options) }, children);
}

/** The client of the nearest provider, else the page's default client. */
export function useTidings(): Live {
  return useContext(LiveContext) ?? connect();
}
