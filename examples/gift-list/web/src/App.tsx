import { TidingsProvider } from 'tidings/react';
import { signInAs, useEntrance } from './account.ts';
import { CacheProvider } from './cache.tsx';
import { Board } from './lists/Board.tsx';
import { SignedInContext } from './people/context.ts';
import { SignIn } from './people/SignIn.tsx';
import { Toasts } from './ui/toasts.tsx';

export function App() {
  const { account, busy, notice } = useEntrance();
  if (!account) {
    return (
      <CacheProvider cached={null}>
        <SignIn notice={notice} busy={busy} onChoose={(member) => signInAs(member.id)} />
      </CacheProvider>
    );
  }
  return (
    <TidingsProvider client={account.live}>
      <CacheProvider cached={account}>
        <SignedInContext value={account}>
          <Toasts>
            <Board />
          </Toasts>
        </SignedInContext>
      </CacheProvider>
    </TidingsProvider>
  );
}
