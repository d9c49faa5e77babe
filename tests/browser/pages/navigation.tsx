// Two views with dozens of topics each, some of them in both, and a way back and forth between them.
import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { flushSync } from 'react-dom';
import { ConnectionBadge, TidingsProvider, useTopic } from 'tidings/react';

declare global {
  interface Window {
    wire: { sent: string[] };
  }
}

const query = new URLSearchParams(location.search);
const ROWS = Number(query.get('rows'));
const SHARED = Number(query.get('shared'));
const linger = query.get('linger');
const timing = linger === null ? {} : { topicLingerMs: Number(linger) };

type View = 'one' | 'two';

function Row({ view, number }: { view: View; number: number }) {
  const { state } = useTopic(`view:${number < SHARED ? 'both' : view}-${number}`, () => {});
  return <li data-state={state} />;
}

function App() {
  const [view, setView] = useState<View>('one');
  Object.assign(window, { navigate: (times: number) => navigate(times, setView) });
  return (
    <TidingsProvider auth={() => query.get('token')} timing={timing}>
      <header>
        <ConnectionBadge />
      </header>
      <ul key={view} data-view={view}>
        {Array.from({ length: ROWS }, (_, number) => (
          <Row key={number} view={view} number={number} />
        ))}
      </ul>
    </TidingsProvider>
  );
}

/** Go there and back; after each step wait until its view is live. Returns how many frames each step sent. */
async function navigate(times: number, setView: (view: View) => void): Promise<number[]> {
  const sent: number[] = [];
  for (let step = 0; step < times; step += 1) {
    const before = window.wire.sent.length;
    const view: View = step % 2 === 0 ? 'two' : 'one';
    flushSync(() => setView(view));
    await isLive(view);
    await frames(4); // as fast as a person can be, not faster: the server bounds frames by the second
    sent.push(window.wire.sent.length - before);
  }
  return sent;
}

async function isLive(view: View): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (document.querySelectorAll(`[data-view=${view}] [data-state=live]`).length < ROWS) {
    if (performance.now() > deadline) throw new Error(`${view} does not become live`);
    await frames(1);
  }
}

async function frames(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) await new Promise((run) => requestAnimationFrame(run));
}

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
