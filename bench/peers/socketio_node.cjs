// Socket.IO on Node: rooms, over WebSocket alone.
const { Server } = require('socket.io');
const { createServer } = require('node:http');
const { userOf } = require('./tokens.cjs');

const http = createServer();
const io = new Server(http, { transports: ['websocket'], serveClient: false });

io.use((socket, next) => {
  userOf(socket.request.url);
  next();
});
io.on('connection', (socket) => {
  socket.on('subscribe', (topic) => {
    socket.join(topic);
    socket.emit('subscribed', topic);
  });
  socket.on('publish', (event) => io.to(event.topic).emit('event', event));
});
http.listen(Number(process.argv[2]), '127.0.0.1', 2048);
