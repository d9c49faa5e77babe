/** One client for one address and page, however often it is asked for. */

import { Client } from "./client.js";
import { browserEnvironment } from "./environment.js";
import type { ConnectOptions, Live } from "./types.js";

/** Outlives a module that a development server loads anew: else each edit would leave a socket behind. */
const REGISTRY: unique symbol = Symbol.for("tidings.clients");

/**
 * The client for these options. It dials when something is subscribed to, not before; on a rendering server it
 * does nothing. Asked for again with the same options it is the same client, with the newest functions.
 */
export function connect(options: ConnectOptions = {}): Live {
  const { WebSocket, fetch } = options;
  const environment = browserEnvironment({
    ...(WebSocket === undefined ? {} : { WebSocket }),
    ...(fetch === undefined ? {} : { fetch }),
  });
  // On a server one process serves many people: nothing is shared there.
  if (environment.inert) return new Client(options, environment);
  const holder = globalThis as { [REGISTRY]?: Map<string, Client> };
  holder[REGISTRY] ??= new Map();
  const clients = holder[REGISTRY];
  const key = keyOf(options);
  const known = clients.get(key);
  if (known !== undefined && known.status.state !== "closed") {
    known.adopt(options);
    return known;
  }
  const client = new Client(options, environment);
  clients.set(key, client);
  return client;
}

/** The options that are data, functions only by their being there. */
function keyOf(options: ConnectOptions): string {
  const entries = Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, typeof value === "function" ? "function" : value]);
  return JSON.stringify(Object.fromEntries(entries.sort()));
}
