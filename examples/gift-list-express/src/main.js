/**
 * A family's gift lists, live, with Express. Read this first, then `live.js` and `gifts.js`.
 *
 * The whole of Tidings in this program is four steps:
 *
 * 1. `answers` tells `tidings serve` who may follow which list (`live.js`).
 * 2. `tidingsTrace()`, below: a page knows its own change when the event comes back.
 * 3. A route that reads notes its place: `noteCursors(...)` (`lists.js`).
 * 4. A route that writes says so once it is committed: `publishGift(...)` (`gifts.js`).
 */

import { createServer } from 'node:http';
import express from 'express';
import { tidingsTrace } from 'tidings/server';
import { signedIn } from './auth.js';
import { answerErrors } from './errors.js';
import { gifts } from './gifts.js';
import { lists } from './lists.js';
import { answers } from './live.js';
import { people } from './people.js';
import { proxyRequests, proxyUpgrades } from './realtime-proxy.js';
import { seedIfEmpty } from './seed.js';
import { settings } from './settings.js';

const app = express();
app.disable('x-powered-by');
app.disable('etag'); // an answer that was not sent again would come with the cursors of this one
app.use(proxyRequests);
app.post('/tidings', answers); // before express.json(), for the signature is over the body's bytes
app.use(tidingsTrace());
app.use(express.json());
app.use('/api', people);
app.use('/api', signedIn, lists, gifts);
app.get('/healthz', (_request, response) => void response.json({ status: 'ok' }));
app.use(express.static(settings.web));
app.use(answerErrors);

seedIfEmpty();
const server = createServer(app);
proxyUpgrades(server);
server.listen(settings.port, settings.host, () => {
  console.log(`Open http://${settings.host}:${settings.port}`);
});
