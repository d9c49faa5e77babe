// A React page with the hook of the format's description, as it stands. Without StrictMode, which its clean-up
// (sending over a socket that is not open yet) does not survive.
import { QueryClient, QueryClientProvider, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { createRoot } from 'react-dom/client';

const WS_URL = `ws://${location.host}/realtime/ws`;
const getToken = () => new URLSearchParams(location.search).get('token');

//! The event

//! React hook: useWebSocket

function Value({ queryKey }: { queryKey: string[] }) {
  const [type, id] = queryKey;
  const queryFn = async () => (await (await fetch(`/values/${type}:${id}`)).json()).value;
  const { data } = useQuery({ queryKey, queryFn, staleTime: Number.POSITIVE_INFINITY });
  return <output data-testid={`${type}:${id}`}>{data}</output>;
}

function Page() {
  const { isConnected } = useWebSocket(['gift-list:123', 'user:456']);
  return (
    <main>
      <p data-testid="state">{isConnected ? 'connected' : 'not connected'}</p>
      <Value queryKey={['gift-list', '123']} />
      <Value queryKey={['view', 'untouched']} />
    </main>
  );
}

function App() {
  const [shown, setShown] = useState(true);
  return (
    <QueryClientProvider client={queryClient}>
      {shown && <Page />}
      <button type="button" onClick={() => setShown(false)}>
        Leave
      </button>
    </QueryClientProvider>
  );
}

const queryClient = new QueryClient();
createRoot(document.getElementById('root') as HTMLElement).render(<App />);
