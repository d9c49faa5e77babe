// Runs in every page before its own scripts.

addEventListener('unhandledrejection', (event) => console.error('unhandled rejection:', event.reason));

// All that this page's WebSockets do, beside them: they themselves are not touched.
window.wire = { opened: 0, alive: 0, aliveMost: 0, closed: [], sent: [], received: [] };
window.WebSocket = class extends WebSocket {
  #over = false;

  constructor(...given) {
    super(...given);
    wire.opened += 1;
    wire.alive += 1;
    wire.aliveMost = Math.max(wire.aliveMost, wire.alive);
    this.addEventListener('close', (event) => {
      wire.closed.push(event.code);
      this.#end();
    });
    this.addEventListener('message', (event) => wire.received.push(event.data));
  }

  send(data) {
    wire.sent.push(data);
    super.send(data);
  }

  close(...given) {
    // Given up by its owner: a link that is dead may never say so itself.
    this.#end();
    super.close(...given);
  }

  #end() {
    if (!this.#over) wire.alive -= 1;
    this.#over = true;
  }
};
