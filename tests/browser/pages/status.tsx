// <tidings-status> on a page that decides how the connection is: `show(name)` puts one of its states there.
import { connect } from 'tidings';
import 'tidings/elements';
import { createRoot } from 'react-dom/client';
import { TidingsProvider } from 'tidings/react';
import { TidingsStatus } from 'tidings/react/status';

type Live = ReturnType<typeof connect>;
type Status = Live['status'];

const IDLE: Status = {
  state: 'idle',
  transport: null,
  refetching: false,
  fetchedAt: null,
  askedAt: null,
  since: Date.now(),
  everLive: false,
  lastLiveAt: null,
  attempt: 0,
  nextTryAt: null,
  reason: null,
  code: null,
};
const LONG_AGO = Date.now() - 60_000;
const AT_15_02 = new Date(new Date(LONG_AGO - 86_400_000).setHours(15, 2)).getTime();
const live = { state: 'live', transport: 'websocket', everLive: true } as const;
const lost = { state: 'reconnecting', reason: 'lost', everLive: true } as const;
const STATES: Record<string, Partial<Status>> = {
  live,
  connecting: { state: 'connecting', since: LONG_AGO + 55_000 },
  reconnecting: { ...lost, lastLiveAt: LONG_AGO + 55_000, attempt: 2 },
  offline: { ...lost, lastLiveAt: AT_15_02 },
  waiting: { ...lost, lastLiveAt: AT_15_02 },
  refreshing: { ...lost, lastLiveAt: LONG_AGO, refetching: true, fetchedAt: Date.now() },
  signIn: { state: 'blocked', reason: 'unauthorized', code: 4401 },
  refused: { state: 'blocked', reason: 'forbidden', code: 4403 },
  failed: { state: 'failed', reason: 'lost', attempt: 5 },
  paused: { state: 'paused', reason: 'paused', everLive: true },
};

/** A client of which nothing is asked but its status. */
class Told {
  status: Status;
  asked = 0;
  readonly #listeners = new Set<(status: Status) => void>();

  constructor(status: Partial<Status>) {
    this.status = { ...IDLE, ...status };
  }

  onStatus(listener: (status: Status) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(status: Partial<Status>): void {
    this.status = { ...this.status, ...status, since: Date.now() };
    for (const listener of [...this.#listeners]) listener(this.status);
  }

  reconnect(): void {
    this.asked += 1;
  }
}

function show(name: string, attributes: Record<string, string> = { banner: '', 'sign-in': '' }): Told {
  const told = new Told(STATES[name] ?? {});
  const element = document.createElement('tidings-status');
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (name === 'waiting') element.waiting = 2;
  element.client = told as unknown as Live;
  document.querySelector('header tidings-status')?.remove();
  document.querySelector('header')?.append(element);
  Object.assign(window, { told });
  return told;
}

/** What a person sees in it. */
function seen(): { badge: string; banner: string | null; announced: string } {
  const root = document.querySelector('tidings-status')?.shadowRoot as ShadowRoot;
  const text = (part: string): string => root.querySelector(`[part=${part}]`)?.textContent ?? '';
  const shown = (part: string): boolean => (root.querySelector(`[part=${part}]`) as HTMLElement).checkVisibility();
  return {
    badge: shown('text') ? text('text') : '',
    banner: shown('banner') ? text('banner-text') : null,
    announced: text('announcement'),
  };
}

/** Every change of what it shows, with the time; and a sample at each frame. */
function watch(): { changes: [number, string][]; samples: Set<string> } {
  const root = document.querySelector('tidings-status')?.shadowRoot as ShadowRoot;
  const found = { changes: [] as [number, string][], samples: new Set<string>() };
  const began = performance.now();
  const look = (): string => JSON.stringify(seen());
  new MutationObserver(() => found.changes.push([performance.now() - began, look()])).observe(root, {
    subtree: true,
    childList: true,
    characterData: true,
    attributes: true,
  });
  const frame = (): void => {
    found.samples.add(look());
    requestAnimationFrame(frame);
  };
  frame();
  Object.assign(window, { found });
  return found;
}

function inReact(): Told {
  const told = new Told(STATES.live ?? {});
  const signedIn = (): void => void Object.assign(window, { signedIn: true });
  createRoot(document.querySelector('header') as HTMLElement).render(
    <TidingsProvider client={told as unknown as Live}>
      <TidingsStatus banner words={{ live: 'En direct' }} onSignIn={signedIn} />
    </TidingsProvider>,
  );
  Object.assign(window, { told });
  return told;
}

const dark = new URLSearchParams(location.search).get('scheme') ?? 'light dark';
document.documentElement.style.colorScheme = dark;
document.body.innerHTML = `
  <style>
    body { margin: 0; font-family: system-ui, sans-serif; background: Canvas; color: CanvasText; }
    header { display: flex; justify-content: space-between; align-items: center; padding: 1rem 1.5rem; }
    main { padding: 0 1.5rem; }
    button { background: hotpink !important; } .text, .badge { color: hotpink !important; }
  </style>
  <header><h1>Gifts for Mia</h1></header>
  <main><label>Name <input name="name"></label></main>`;
Object.assign(window, { show, seen, watch, inReact });
