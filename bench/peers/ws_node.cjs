// `ws` on Node: a set of sockets a topic, one text for all of them.
const { WebSocketServer } = require('ws');
const { userOf } = require('./tokens.cjs');

const members = new Map();
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 2048 });

server.on('connection', (socket, request) => {
  userOf(request.url);
  const mine = [];
  socket.on('error', () => socket.terminate());
  socket.on('close', () => mine.forEach((topic) => members.get(topic).delete(socket)));
  socket.on('message', (data) => {
    const frame = JSON.parse(data);
    if (frame.type === 'subscribe') {
      for (const topic of frame.topics) {
        if (!members.has(topic)) members.set(topic, new Set());
        members.get(topic).add(socket);
        mine.push(topic);
      }
      socket.send(JSON.stringify({ type: 'subscribed' }));
    } else if (frame.type === 'publish') {
      const event = { topic: frame.topic, event: frame.event, data: frame.data };
      const text = Buffer.from(JSON.stringify(event)); // encoded once: a string would be, for each socket
      for (const member of members.get(frame.topic) ?? []) member.send(text, { binary: false });
    }
  });
});
