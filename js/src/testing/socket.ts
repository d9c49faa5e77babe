/** A WebSocket without a network: what is sent goes to an object, and that object speaks. */

import type { SocketLike } from "../core/environment.js";

export interface SocketPeer {
  dialled(socket: FakeSocket): void;
  received(socket: FakeSocket, text: string): void;
  left(socket: FakeSocket): void;
}

export class FakeSocket implements SocketLike {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  readonly #peer: SocketPeer;
  #over = false;

  constructor(peer: SocketPeer) {
    this.#peer = peer;
    peer.dialled(this);
  }

  // The page's side.

  send(text: string): void {
    if (!this.#over) this.#peer.received(this, text);
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#peer.left(this);
  }

  // The server's side.

  open(): void {
    if (!this.#over) this.onopen?.({} as never);
  }

  say(text: string): void {
    if (!this.#over) this.onmessage?.({ data: text } as never);
  }

  end(code: number): void {
    if (this.#over) return;
    this.#over = true;
    this.onclose?.({ code } as never);
  }
}
