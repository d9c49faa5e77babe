// Cards that each have a dialog of their own, always mounted and mostly closed. A badge in the header.
import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { ConnectionBadge, TidingsProvider, useTopic } from 'tidings/react';
import { useTopicQuery } from 'tidings/react-query';

const query = new URLSearchParams(location.search);
const CARDS = Number(query.get('cards'));

async function readValue(topic: string, signal?: AbortSignal) {
  return (await (await fetch(`/values/${topic}`, signal ? { signal } : {})).json()).value as number;
}

function Dialog({ number, open }: { number: number; open: boolean }) {
  const [events, setEvents] = useState(0);
  useTopic(open ? `gift-list:card-${number}` : null, () => setEvents((before) => before + 1));
  const topic = `view:card-${number}`;
  const { data } = useTopicQuery({
    queryKey: ['card', number],
    queryFn: ({ signal }) => readValue(topic, signal),
    topics: [topic],
    enabled: open,
  });
  return (
    <dialog open={open} data-testid={`dialog-${number}`} data-events={events}>
      {data}
    </dialog>
  );
}

function Card({ number }: { number: number }) {
  const [open, setOpen] = useState(false);
  return (
    <section>
      <button type="button" data-testid={`card-${number}`} onClick={() => setOpen(!open)}>
        Card {number}
      </button>
      <Dialog number={number} open={open} />
    </section>
  );
}

/** A drop-down whose choices hardly change: a query as ever, and nothing live about it. */
function DropDown() {
  const { data } = useQuery({
    queryKey: ['choices'],
    queryFn: () => readValue('view:choices'),
    staleTime: Number.POSITIVE_INFINITY,
  });
  return <output data-testid="choices">{data}</output>;
}

const queryClient = new QueryClient();

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <TidingsProvider auth={() => query.get('token')} timing={{ topicLingerMs: 200 }}>
      <QueryClientProvider client={queryClient}>
        <header>
          <ConnectionBadge />
          <DropDown />
        </header>
        {Array.from({ length: CARDS }, (_, number) => (
          <Card key={number} number={number} />
        ))}
      </QueryClientProvider>
    </TidingsProvider>
  </StrictMode>,
);
