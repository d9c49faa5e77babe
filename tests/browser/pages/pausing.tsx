// A value that is kept up to date by patching, on a page that leaves when it has been hidden for a moment.
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { connect } from 'tidings';
import { ConnectionBadge, TidingsProvider } from 'tidings/react';
import { useTopicQuery } from 'tidings/react-query';

const query = new URLSearchParams(location.search);
const topic = `view:${query.get('row')}`;
const live = connect({
  auth: () => query.get('token'),
  pauseAfterMs: Number(query.get('pauseAfterMs')),
});
const heard: number[] = [];
Object.assign(window, { __tidings: live, heard, gaps: [] });

function Value() {
  const { data } = useTopicQuery({
    queryKey: [topic],
    queryFn: async ({ signal }) => (await live.fetch(`/values/${topic}`, { signal })).json(),
    topics: topic,
    apply: (_, event) => {
      const { value } = event.data.payload as { value: number };
      heard.push(value);
      return { value };
    },
  });
  return <output data-testid="value">{data?.value}</output>;
}

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <TidingsProvider client={live}>
      <QueryClientProvider client={new QueryClient()}>
        <ConnectionBadge />
        <Value />
      </QueryClientProvider>
    </TidingsProvider>
  </StrictMode>,
);
