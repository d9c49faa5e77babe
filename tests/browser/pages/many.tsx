// 500 components on 60 topics, written as one writes them: options, arrays and handlers inline.
import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { ConnectionBadge, TidingsProvider, useTopic } from 'tidings/react';

const query = new URLSearchParams(location.search);
const COMPONENTS = Number(query.get('components'));
const TOPICS = Number(query.get('topics'));

function Card({ number, frame }: { number: number; frame: number }) {
  const [count, setCount] = useState(0);
  const [frameSeen, setFrameSeen] = useState(0);
  const { state } = useTopic(
    [`gift-list:${number % TOPICS}`],
    () => {
      setCount((before) => before + 1);
      setFrameSeen(frame);
    },
    { enabled: true, onGap: () => {} },
  );
  return <i data-card data-state={state} data-count={count} data-frame-seen={frameSeen} />;
}

function App() {
  const [frame, setFrame] = useState(0);
  Object.assign(window, { render: (next: number) => setFrame(next) });
  return (
    <TidingsProvider auth={() => query.get('token')}>
      <ConnectionBadge />
      <p data-testid="frame">{frame}</p>
      {Array.from({ length: COMPONENTS }, (_, number) => (
        <Card key={number} number={number} frame={frame} />
      ))}
    </TidingsProvider>
  );
}

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
