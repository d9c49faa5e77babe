/** What can be set from outside: environment variables named GIFT_LIST_... and those of `tidings serve`. */

const { env } = process;

export const settings = {
  host: env.GIFT_LIST_HOST || '127.0.0.1',
  port: Number(env.GIFT_LIST_PORT || 8000),
  database: env.GIFT_LIST_DATABASE || 'gift-list.sqlite3',
  /** Where `npm run build -w gift-list-express` puts the pages. */
  web: env.GIFT_LIST_WEB || new URL('../web/dist', import.meta.url).pathname,
  /** Where `tidings serve` listens. */
  tidingsUrl: env.GIFT_LIST_TIDINGS_URL || 'http://127.0.0.1:8001',
  /** Signs the tokens of people; `tidings serve` checks them. */
  tokenSecret: required('TIDINGS_SECRET'),
  /** Lets this program publish. */
  apiKey: required('TIDINGS_API_KEYS'),
  /** Signs what `tidings serve` asks this program. */
  webhookSecret: required('TIDINGS_WEBHOOK_SECRET'),
};

/** @param {string} name */
function required(name) {
  const value = env[name];
  if (!value) throw new Error(`${name} is missing: start this by "node start.js", or set it.`);
  return value;
}
