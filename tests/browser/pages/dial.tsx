// One topic, and the connection in words. Where it dials and how often it tries come from the query.
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { type ConnectOptions, connect } from 'tidings';
import { ConnectionBadge, TidingsProvider, useConnectionStatus, useTopic } from 'tidings/react';

const query = new URLSearchParams(location.search);
const url = query.get('url');
const attempts = query.get('attempts');
const timing = query.get('timing');

const options: ConnectOptions = {
  auth: () => query.get('token'),
  // What is counted here are WebSocket dials; the steps below them have tests of their own.
  transports: ['websocket'],
  ...(url === null ? {} : { url }),
  ...(attempts === null ? {} : { attemptsLimit: Number(attempts) }),
  ...(timing === null ? {} : { timing: JSON.parse(timing) }),
};
const live = connect(options);
const states: string[] = [];
live.onStatus(({ state }) => {
  if (states.at(-1) !== state) states.push(state);
});
Object.assign(window, { live, states });

function App() {
  const { state } = useTopic('gift-list:1', (event) => {
    document.title = String(event.data.entity_id);
  });
  const { text } = useConnectionStatus();
  return (
    <>
      <p data-testid="state">{state}</p>
      <p data-testid="text">{text}</p>
      <ConnectionBadge />
    </>
  );
}

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <TidingsProvider client={live}>
      <App />
    </TidingsProvider>
  </StrictMode>,
);
