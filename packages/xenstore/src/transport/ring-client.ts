import { XenstoreProtocolError } from '../errors.js';
import type { ClientTransport } from './client-transport.js';
import type { XenstorePage } from './ring-page.js';

/** The guest's end of its xenstore page, for guests written in TypeScript. Call `onEvent` for each event on the port. */
export class RingClientTransport implements ClientTransport {
  private readonly unsent: Uint8Array[] = [];
  private receive: (bytes: Uint8Array) => void = () => {};
  private ended: (reason: Error) => void = () => {};
  private open = true;

  /** @param notify sends an event on the guest's xenstore port */
  constructor(
    private readonly page: XenstorePage,
    private readonly notify: () => void,
  ) {}

  send(bytes: Uint8Array): void {
    if (!this.open) throw new XenstoreProtocolError('The connection is closed.');
    this.unsent.push(bytes);
    if (this.writeRequests()) this.notify();
  }

  onEvent(): void {
    if (!this.open) return;
    const received = this.page.responses.read();
    if (received === null) {
      this.end('The ring has impossible indices.');
      return;
    }
    const wrote = this.writeRequests();
    if (received.length > 0 || wrote) this.notify();
    if (received.length > 0) this.receive(received);
    if (this.page.error !== 0) this.end(`The server reports error ${this.page.error}.`);
  }

  onReceive(handler: (bytes: Uint8Array) => void): void {
    this.receive = handler;
  }

  onClose(handler: (reason: Error) => void): void {
    this.ended = handler;
  }

  close(): void {
    this.end('The connection is closed.');
  }

  private writeRequests(): boolean {
    let moved = false;
    while (this.unsent.length > 0) {
      const next = this.unsent[0]!;
      const written = this.page.requests.write(next);
      if (!written) break;
      moved = true;
      if (written < next.length) this.unsent[0] = next.subarray(written);
      else this.unsent.shift();
    }
    return moved;
  }

  private end(reason: string): void {
    if (!this.open) return;
    this.open = false;
    this.ended(new XenstoreProtocolError(reason));
  }
}
