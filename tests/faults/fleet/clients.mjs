// Many clients of the built npm package in one process: `node clients.mjs CONFIG.json`.
// CONFIG: {url, log, clients: [{id, transports, topics, token}]}. Writes what each client saw to `log`, a line each:
//   e CLIENT TOPIC NUMBER CURSOR | g CLIENT TOPIC REASON CURSOR
// Answers each line of standard input with one JSON line: {"ask":"progress","tops":{TOPIC: CURSOR}},
// {"ask":"hurry"} (who waits to dial dials now, as when a person asks for it) or {"ask":"stop"}.
import { createWriteStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { connect } from 'tidings';
import { WebSocket } from 'ws';

const config = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const log = createWriteStream(config.log);
const complaints = {};
const clients = config.clients.map(open);

function open({ id, transports, topics, token }) {
  const live = connect({
    url: config.url,
    name: id,
    transports,
    auth: () => token,
    WebSocket,
    fetch: (input, init) => fetch(input, init),
    onError: (error) => {
      complaints[error.code] = (complaints[error.code] ?? 0) + 1;
    },
    development: false,
  });
  live.subscribe(
    topics,
    (event) => {
      const { number } = event.data.payload;
      log.write(`e ${id} ${event.topic} ${number} ${event.cursor}\n`);
    },
    {
      onGap: (gap) => {
        log.write(`g ${id} ${gap.topic} ${gap.reason} ${gap.cursor}\n`);
      },
    },
  );
  return { live, topics };
}

function progress(tops) {
  const transports = {};
  let ready = 0;
  let behind = 0;
  for (const { live, topics } of clients) {
    const transport = live.status.transport ?? live.status.state;
    transports[transport] = (transports[transport] ?? 0) + 1;
    const isLive = live.status.state === 'live';
    if (isLive && topics.every((topic) => live.topicState(topic).state === 'live' && live.position(topic) !== null))
      ready += 1;
    for (const topic of topics) if (topic in tops && live.position(topic) !== tops[topic]) behind += 1;
  }
  return { ready, behind, transports, complaints };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { ask, tops } = JSON.parse(line);
  if (ask === 'stop') break;
  if (ask === 'hurry') for (const { live } of clients) if (live.status.state !== 'live') live.reconnect();
  console.log(JSON.stringify(progress(tops)));
}
const last = progress({});
for (const { live } of clients) live.close();
await new Promise((resolve) => log.end(resolve));
console.log(JSON.stringify(last));
process.exit(0);
