import {
  XENSTORE_CONNECTED,
  XENSTORE_ERROR_COMM,
  XENSTORE_ERROR_NONE,
  XENSTORE_ERROR_RINGIDX,
  XENSTORE_RECONNECT,
  XENSTORE_SERVER_FEATURE_ERROR,
  XENSTORE_SERVER_FEATURE_RECONNECTION,
} from '@xenolith/xen-abi';
import type { ServerConnection, ServerTransport } from '../server/connection.js';
import type { XenstoreServer } from '../server/server.js';
import type { XenstorePage } from './ring-page.js';

const FEATURES = XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR;

export interface RingConnectionOptions {
  server: XenstoreServer;
  domid: number;
  page: XenstorePage;
  /** Sends an event to the domain's xenstore port. */
  notify(): void;
  /** The domain's xenstore port is another one now: events come from there and go there. */
  rebind?(port: number): void;
  /** Whether the page can still be reached: false once the domain is gone. Default: always. */
  live?(): boolean;
  /** The server has let go of the domain: unmap the page, close the port. */
  closed?(): void;
}

/**
 * Serves a domain over its shared page. Making one introduces the domain (and empties its ring, as xenstored does).
 * It works when `onEvent` is called, and when others' requests cause events for this domain. A client that does not
 * read its replies is not asked for more requests; one that writes impossible indices is not served any more, until
 * it asks to reconnect (docs/misc/xenstore-ring.txt; of Xen 4.17's two daemons it is oxenstored that offers this).
 */
export class RingConnection implements ServerTransport {
  readonly connection: ServerConnection;
  private pumping = false;

  constructor(private readonly options: RingConnectionOptions) {
    this.reset();
    this.connection = options.server.connect(options.domid, this);
  }

  /** The domain sent an event: takes its requests and gives it what there is room for. */
  onEvent(): void {
    if (this.live && this.options.page.connection === XENSTORE_RECONNECT) this.connection.reset();
    this.pump(this.connection);
  }

  outputReady(connection: ServerConnection): void {
    this.pump(connection);
  }

  failed(error: number): void {
    if (this.live) this.options.page.error = error;
  }

  reset(): void {
    const { page, notify } = this.options;
    if (!this.live) return;
    page.reset();
    page.serverFeatures = FEATURES;
    page.error = XENSTORE_ERROR_NONE;
    if (page.connection !== XENSTORE_RECONNECT) return;
    page.connection = XENSTORE_CONNECTED;
    notify();
  }

  rebind(port: number): void {
    this.options.rebind?.(port);
  }

  closed(): void {
    this.options.closed?.();
  }

  private get live(): boolean {
    return this.options.live?.() ?? true;
  }

  private pump(connection: ServerConnection): void {
    if (this.pumping) return;
    this.pumping = true;
    let moved = false;
    try {
      while (connection.open && this.step(connection)) moved = true;
    } finally {
      this.pumping = false;
    }
    if (moved && connection.open && this.live) this.options.notify();
  }

  /** @returns whether bytes moved in either direction */
  private step(connection: ServerConnection): boolean {
    if (!this.live) {
      connection.fail(XENSTORE_ERROR_COMM);
      return false;
    }
    const { requests, responses } = this.options.page;
    const output = connection.peekOutput();
    const written = output ? responses.write(output) : 0;
    const input = connection.acceptsInput ? requests.read(connection.wantedBytes) : new Uint8Array(0);
    if (written === null || input === null) {
      connection.fail(XENSTORE_ERROR_RINGIDX);
      return false;
    }
    if (written > 0) connection.consumeOutput(written);
    if (input.length > 0) connection.feed(input);
    return written > 0 || input.length > 0;
  }
}
