import { XENSTORE_PAYLOAD_MAX, XS_ERROR, XS_WATCH_EVENT } from '@xenolith/xen-abi';
import { XenstoreError, XenstoreProtocolError } from '../errors.js';
import type { ClientTransport } from '../transport/client-transport.js';
import { encodeMessage, type Message } from '../wire/message.js';
import { messageName, printableBody } from '../wire/names.js';
import { MessageParser } from '../wire/parser.js';
import { fromBytes, nulTerminated } from '../wire/text.js';
import type { Operation } from './operations.js';

interface Pending {
  type: number;
  /** The request's payload as it appears in errors. */
  about: string;
  answered(reply: Uint8Array): void;
  failed(error: Error): void;
}

/** Sends requests, matches replies to them and hands on events: what the two clients have in common. */
export class Requester {
  private readonly pending = new Map<number, Pending>();
  private readonly parser = new MessageParser();
  private nextId = 1;
  private lost: Error | undefined;

  constructor(
    private readonly transport: ClientTransport,
    private readonly onEvent: (path: string, token: string) => void,
    private readonly onLost: (reason: Error) => void = () => {},
  ) {
    transport.onReceive((bytes) => this.receive(bytes));
    transport.onClose((reason) => this.lose(reason));
  }

  request<T>(
    operation: Operation<T>,
    transactionId: number,
    answered: (value: T) => void,
    failed: (error: Error) => void,
  ): void {
    if (this.lost) {
      failed(this.lost);
      return;
    }
    const { type, body } = operation;
    if (body.length > XENSTORE_PAYLOAD_MAX) {
      // The server would drop the whole connection.
      failed(new XenstoreError('E2BIG', `E2BIG: ${messageName(type)} with ${body.length} bytes`));
      return;
    }
    const requestId = this.nextId;
    this.nextId = (this.nextId + 1) >>> 0;
    this.pending.set(requestId, {
      type,
      about: printableBody(body).slice(0, 80),
      answered: (reply) => answered(operation.decode(reply)),
      failed,
    });
    this.transport.send(encodeMessage({ type, requestId, transactionId, body }));
  }

  close(): void {
    this.lose(new XenstoreProtocolError('The connection is closed.'));
    this.transport.close();
  }

  private receive(bytes: Uint8Array): void {
    try {
      for (const message of this.parser.feed(bytes)) this.dispatch(message);
    } catch (error) {
      if (!(error instanceof XenstoreProtocolError)) throw error;
      this.lose(error);
      this.transport.close();
    }
  }

  private dispatch(message: Message): void {
    if (message.type === XS_WATCH_EVENT) {
      const [path, token] = nulTerminated(fromBytes(message.body));
      if (token === undefined) throw new XenstoreProtocolError('A watch event has no token.');
      this.onEvent(path!, token);
      return;
    }
    const pending = this.pending.get(message.requestId);
    if (!pending) throw new XenstoreProtocolError(`A reply to no request: ${messageName(message.type)}.`);
    this.pending.delete(message.requestId);
    if (message.type === XS_ERROR) {
      const code = fromBytes(message.body).replace(/\0$/, '');
      pending.failed(new XenstoreError(code, `${code}: ${messageName(pending.type)} ${pending.about}`));
    } else if (message.type === pending.type) {
      pending.answered(message.body);
    } else {
      const error = `A reply of type ${messageName(message.type)} to ${messageName(pending.type)}.`;
      pending.failed(new XenstoreProtocolError(error));
    }
  }

  private lose(reason: Error): void {
    if (this.lost) return;
    this.lost = reason;
    for (const pending of this.pending.values()) pending.failed(reason);
    this.pending.clear();
    this.onLost(reason);
  }
}
