// One conversation, by a WebSocket class that is not ours: `node conversation.mjs ws|native WEBSOCKET_URL TOKEN HTTP_URL API_KEY TOPIC`.
// Prints one JSON object: what came, in its order, and the code of the close.
const [which, websocketUrl, token, httpUrl, apiKey, topic] = process.argv.slice(2);
const Socket = which === 'ws' ? (await import('ws')).WebSocket : globalThis.WebSocket;
if (Socket === undefined) throw new Error(`there is no WebSocket of the kind ${which}`);

async function publish(number) {
  const answer = await fetch(`${httpUrl}/publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      topic,
      event: 'UPDATED',
      data: { entity_id: `g-${number}`, payload: { n: number, text: 'ä€😀' } },
    }),
  });
  if (!answer.ok) throw new Error(`publish: ${answer.status} ${await answer.text()}`);
  return (await answer.json()).published[0].cursor;
}

function dial(query) {
  const socket = new Socket(websocketUrl + query);
  const frames = [];
  let wake = () => {};
  socket.addEventListener('message', (message) => {
    frames.push(JSON.parse(message.data));
    wake();
  });
  const closed = new Promise((resolve) => socket.addEventListener('close', (event) => resolve(event.code)));
  const opened = new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error('the dial failed')));
  });
  let read = 0;
  async function next() {
    while (read === frames.length) await new Promise((resolve) => { wake = resolve; });
    return frames[read++];
  }
  const ask = (frame) => { socket.send(JSON.stringify(frame)); return next(); };
  return { socket, opened, closed, next, ask };
}

const first = dial(`?token=${token}`);
await first.opened;
const welcome = await first.next();
const subscribed = await first.ask({ type: 'subscribe', topics: [topic], id: 1 });
const cursor = await publish(1);
const event = await first.next();
const pong = await first.ask({ type: 'ping', id: 'p' });
first.socket.close();
const closedByUs = await first.closed;

await publish(2);
const second = dial('');
await second.opened;
await second.ask({ type: 'auth', token });
const recovered = await second.ask({ type: 'subscribe', topics: [topic], since: { [topic]: cursor } });
const missed = await second.next();
second.socket.close();
await second.closed;

const refused = dial('?token=wrong');
await refused.opened;
const refusal = await refused.next();
const closedByServer = await refused.closed;

console.log(
  JSON.stringify({ welcome, subscribed, cursor, event, pong, closedByUs, recovered, missed, refusal, closedByServer }),
);
