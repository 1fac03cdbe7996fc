import {
  XENSTORE_ERROR_NONE,
  XENSTORE_ERROR_PROTO,
  XENSTORE_PAYLOAD_MAX,
  XS_WATCH_EVENT,
} from '@xenolith/xen-abi';
import { XenstoreProtocolError } from '../errors.js';
import { domainPath } from '../store/path.js';
import { encodeMessage, HEADER_SIZE, type Message } from '../wire/message.js';
import { MessageParser } from '../wire/parser.js';
import { toBytes } from '../wire/text.js';
import type { Actor } from './actor.js';
import { OutputQueue } from './output-queue.js';
import type { Quotas } from './quotas.js';
import type { RequestInFlight } from './request-in-flight.js';
import type { ServerTimer } from './timer.js';
import type { Transaction } from './transaction.js';
import type { Watch, Watches } from './watches.js';

/** How a connection's bytes travel. Called by the server, never in the middle of a request. */
export interface ServerTransport {
  /** Output waits: send what you can with `connection.peekOutput` and `consumeOutput`, the rest when there is room. */
  outputReady(connection: ServerConnection): void;
  /** The server does not serve this client any more; `error` is an `XENSTORE_ERROR_*`. */
  failed?(error: number): void;
  /** The client began anew (INTRODUCE again, or a request to reconnect): what was on its way is to be dropped. */
  reset?(): void;
  /** INTRODUCE of a domain that is served already: this is its port now. Called before `reset`. */
  rebind?(port: number): void;
  /** The connection has ended for good: give up the ring or the socket. */
  closed?(): void;
}

/** What a connection needs of the server. */
export interface ConnectionHost {
  readonly quotas: Quotas;
  readonly watches: Watches;
  readonly timer: ServerTimer | undefined;
  /** Whether memory and rate of a domain allow more requests. */
  mayRequest(domid: number): boolean;
  /** Whether a domain may have so many bytes more. */
  fits(domid: number, bytes: number): boolean;
  /** When an event that is queued now is dropped, if ever. */
  eventDue(): number | undefined;
  /** A client that had to wait may go on. */
  resume(connection: ServerConnection): void;
  submit(connection: ServerConnection, message: Message): void;
  queued(connection: ServerConnection, message: Message): void;
  closed(connection: ServerConnection): void;
}

/** The server's end of one client's connection. */
export class ServerConnection implements Actor {
  readonly privileged: boolean;
  target: number | undefined;
  /** By path and token, in the order they were set. Changed by `Watches` only. */
  readonly watches = new Map<string, Watch>();
  readonly transactions = new Map<number, Transaction>();
  private nextTransactionId = 1;
  private readonly parser = new MessageParser();
  private readonly output = new OutputQueue();
  /** Requests that count as outstanding. */
  private outstanding = 0;
  private watchBytes = 0;
  private cancelExpiry: (() => void) | undefined;
  private state: 'open' | 'ignored' | 'closed' = 'open';

  constructor(
    private readonly host: ConnectionHost,
    readonly domid: number,
    /** Grows from each connection of a server to the next. */
    readonly serial: number,
    readonly transport: ServerTransport,
  ) {
    this.privileged = domid === 0;
  }

  /** Whether requests are still served. */
  get open(): boolean {
    return this.state === 'open';
  }

  /** Where relative paths begin. */
  get base(): string {
    return domainPath(this.domid);
  }

  /** Whether the client has read enough of its replies to ask for more. Transports with flow control heed it. */
  get acceptsInput(): boolean {
    if (!this.open) return false;
    return (
      this.privileged || (this.outstanding < this.host.quotas.outstanding && this.host.mayRequest(this.domid))
    );
  }

  /** Bytes that complete the message under way, or at least its header: what a transport with flow control reads next. */
  get wantedBytes(): number {
    return this.parser.wantedBytes;
  }

  /** Bytes that are held for the client here. */
  get memory(): number {
    let bytes = this.output.bytes + this.watchBytes;
    for (const transaction of this.transactions.values()) bytes += transaction.bytes;
    return bytes;
  }

  get outstandingRequests(): number {
    return this.outstanding;
  }

  outstandingBegins(): void {
    this.outstanding++;
  }

  outstandingEnds(): void {
    if (this.outstanding-- === this.host.quotas.outstanding) this.host.resume(this);
  }

  /** For the watches: one was set (its bytes) or ended (as many, negative). */
  watchesChanged(bytes: number): void {
    this.watchBytes += bytes;
  }

  /** Bytes from the client, in pieces of any size. Requests that they complete are answered before this returns. */
  feed(bytes: Uint8Array): void {
    if (!this.open) return;
    // Parsed to the end first: while a request is answered, a client in the same process may send the next.
    const messages: Message[] = [];
    let broken = false;
    try {
      for (const message of this.parser.feed(bytes)) messages.push(message);
    } catch (error) {
      if (!(error instanceof XenstoreProtocolError)) throw error;
      broken = true;
    }
    for (const message of messages) if (this.open) this.host.submit(this, message);
    if (broken) this.fail(XENSTORE_ERROR_PROTO);
  }

  /** The next bytes for the client; undefined if there are none. Take them with `consumeOutput`. */
  peekOutput(): Uint8Array | undefined {
    return this.output.peek();
  }

  /** @param length at most that of what `peekOutput` gave */
  consumeOutput(length: number): void {
    this.output.consume(length);
  }

  /** Bytes that wait for the client. */
  get outputBytes(): number {
    return this.output.bytes;
  }

  /** For the server: queues the reply to a request. */
  reply(message: Message, request: RequestInFlight | undefined): void {
    this.output.push(encodeMessage(message), { request });
    this.host.queued(this, message);
  }

  /**
   * For the server: queues a watch event, unless the same waits already (special ones may wait more than once) or the
   * client lets too much wait.
   */
  sendEvent(path: string, token: string, request?: RequestInFlight): void {
    const body = toBytes(`${path}\0${token}\0`);
    if (body.length > XENSTORE_PAYLOAD_MAX) return;
    if (!this.host.fits(this.domid, HEADER_SIZE + body.length)) return;
    const message: Message = { type: XS_WATCH_EVENT, requestId: 0, transactionId: 0, body };
    const bytes = encodeMessage(message);
    const once = path.startsWith('@') ? undefined : `${path}\0${token}`;
    const due = this.privileged ? undefined : this.host.eventDue();
    if (!this.output.push(bytes, { once, request, due })) return;
    this.host.queued(this, message);
    this.setExpiry();
  }

  addTransaction(transaction: Transaction): number {
    while (this.transactions.has(this.nextTransactionId) || this.nextTransactionId === 0)
      this.skipTransactionId();
    const id = this.nextTransactionId;
    this.skipTransactionId();
    this.transactions.set(id, transaction);
    return id;
  }

  dropWatchesAndTransactions(): void {
    this.host.watches.removeAll(this);
    this.transactions.clear();
  }

  /** The client begins anew: nothing that was under way or registered remains. */
  reset(): void {
    this.forget();
    if (this.state === 'ignored') this.state = 'open';
    this.transport.reset?.();
  }

  /** The domain is introduced again: it has another port, and begins anew. */
  reintroduce(port: number): void {
    this.transport.rebind?.(port);
    this.reset();
  }

  /** Stops serving the client; what it wrote into the store stays. @param error an `XENSTORE_ERROR_*` */
  fail(error: number = XENSTORE_ERROR_NONE): void {
    if (!this.open) return;
    this.state = 'ignored';
    this.forget();
    this.transport.failed?.(error);
  }

  /** Ends the connection. For a domain this is RELEASE: its nodes go, and `@releaseDomain` is fired. */
  close(): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.forget();
    this.transport.closed?.();
    this.host.closed(this);
  }

  /** Has events dropped that are not read in time. */
  private setExpiry(): void {
    const { nextDue } = this.output;
    const { timer } = this.host;
    if (this.cancelExpiry || nextDue === undefined || !timer) return;
    this.cancelExpiry = timer.after(Math.max(0, nextDue - timer.now()), () => {
      this.cancelExpiry = undefined;
      this.output.dropOverdue(timer.now());
      this.setExpiry();
    });
  }

  private forget(): void {
    this.dropWatchesAndTransactions();
    this.parser.reset();
    this.output.clear();
    this.cancelExpiry?.();
    this.cancelExpiry = undefined;
  }

  private skipTransactionId(): void {
    this.nextTransactionId = (this.nextTransactionId + 1) >>> 0;
  }
}
