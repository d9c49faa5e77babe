/**
 * /realtime of this address is that of `tidings serve`, so that the pages know one address. In production nginx or
 * Caddy does this (docs/express.md): then a page's connection does not pass through Node at all.
 */

import { request as ask } from 'node:http';
import { settings } from './settings.js';

const target = new URL(settings.tidingsUrl);
const isOurs = (/** @type {string | undefined} */ url) => /^\/realtime(\/|\?|$)/.test(url ?? '');

/** @param {import('node:http').IncomingMessage} request */
const asking = (request) =>
  ask({
    host: target.hostname,
    port: target.port,
    path: request.url,
    method: request.method,
    headers: request.headers,
  });

/** Requests: event streams, polls.
 * @type {import('express').RequestHandler} */
export const proxyRequests = (request, response, next) => {
  if (!isOurs(request.url)) return next();
  const asked = asking(request);
  asked.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  asked.on('error', () => (response.headersSent ? response.destroy() : response.status(502).end()));
  response.on('close', () => asked.destroy());
  request.pipe(asked);
};

/** WebSockets.
 * @param {import('node:http').Server} server */
export function proxyUpgrades(server) {
  server.on('upgrade', (request, socket, head) => {
    if (!isOurs(request.url)) return socket.destroy();
    const asked = asking(request);
    socket.on('error', () => asked.destroy());
    asked.on('error', () => socket.destroy());
    asked.on('response', (answer) => {
      // It is no WebSocket after all.
      socket.end(
        `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\nConnection: close\r\n\r\n`,
      );
      answer.resume();
    });
    asked.on('upgrade', (answer, upstream, first) => {
      const headers = answer.rawHeaders
        .map((text, place) => (place % 2 ? `: ${text}\r\n` : text))
        .join('');
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headers}\r\n`);
      upstream.on('error', () => socket.destroy());
      socket.on('close', () => upstream.destroy());
      upstream.on('close', () => socket.destroy());
      upstream.write(head);
      socket.write(first);
      upstream.pipe(socket).pipe(upstream);
    });
    asked.end();
  });
}
