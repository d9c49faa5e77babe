/**
 * Both programs at once, for trying it out: `tidings serve`, and Express in front of it. In production each is a
 * service of its own (docs/express.md). Ends when one of them ends.
 */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const secret = () => randomBytes(32).toString('hex');
const port = process.env.GIFT_LIST_PORT || '8000';
/** @type {NodeJS.ProcessEnv} */
const env = {
  TIDINGS_SECRET: secret(), // a token lasts until the restart: the page signs in anew by itself
  TIDINGS_API_KEYS: secret(),
  TIDINGS_WEBHOOK_SECRET: secret(),
  ...process.env,
  TIDINGS_WEBHOOK_URL: `http://127.0.0.1:${port}/tidings`,
  TIDINGS_WEBHOOK_CALLS: 'subscribe',
  TIDINGS_TOPICS: 'gift-list,gift-claims',
  TIDINGS_LOG_LEVEL: 'warning',
};
/** @type {import('node:child_process').ChildProcess[]} */
const children = [];
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => end(0));

const tidings = start('tidings', ['serve', '--port', process.env.GIFT_LIST_TIDINGS_PORT || '0']);
const lines = createInterface({ input: tidings.stdout });
lines.on('line', (line) => {
  const [, url] = /Ready on (http:\/\/[^/]+)/.exec(line) ?? [];
  if (!url) return;
  env.GIFT_LIST_TIDINGS_URL = url;
  const express = start(process.execPath, [fileURLToPath(new URL('src/main.js', import.meta.url))]);
  express.stdout.pipe(process.stdout);
});

/** @param {string} command @param {string[]} args */
function start(command, args) {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  child.on('error', ({ message }) => {
    console.error(`${command}: ${message}. Is it on the PATH? (pip install tidings)`);
    end(1);
  });
  child.on('exit', (status) => end(status ?? 1));
  return child;
}

/** @param {number} status */
function end(status) {
  process.exitCode ??= status;
  for (const child of children) child.kill('SIGTERM');
}
