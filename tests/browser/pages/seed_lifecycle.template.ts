// A page that was written from the description of the format alone: sections 1, 3 and 4, as they stand.
// Around them is only what they take for granted.
const WS_URL = `ws://${location.host}/realtime/ws`;
const authToken = new URLSearchParams(location.search).get('token');
const subscribeToTopics = subscribe;
let lastPong = 0;

//! 1. Initial connection

//! 3. Subscription management

//! 4. Heartbeat

const events: unknown[] = [];
ws.addEventListener('message', ({ data }) => {
  const frame = JSON.parse(data);
  if (frame.type === undefined) events.push(frame);
});
Object.assign(window, {
  seed: { events, unsubscribe, lastPong: () => lastPong, stop: () => clearInterval(heartbeat) },
});
