import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { TidingsProvider } from 'tidings/react';
import { signInAs, useEntrance } from './account.ts';
import { Board } from './lists/Board.tsx';
import { SignedInContext } from './people/context.ts';
import { SignIn } from './people/SignIn.tsx';
import { Toasts } from './ui/toasts.tsx';

const signedOutQueries = new QueryClient();

export function App() {
  const { account, busy, notice } = useEntrance();
  if (!account) {
    return (
      <QueryClientProvider client={signedOutQueries}>
        <SignIn notice={notice} busy={busy} onChoose={(member) => signInAs(member.id)} />
      </QueryClientProvider>
    );
  }
  return (
    <TidingsProvider client={account.live}>
      <QueryClientProvider client={account.queries}>
        <SignedInContext value={account}>
          <Toasts>
            <Board />
          </Toasts>
        </SignedInContext>
      </QueryClientProvider>
    </TidingsProvider>
  );
}
