import { XENSTORE_PAYLOAD_MAX, XsdSockmsg } from '@xenolith/xen-abi';
import { XenstoreProtocolError } from '../errors.js';
import { HEADER_SIZE, type Message } from './message.js';

/** Turns bytes, in pieces of any size, into messages. */
export class MessageParser {
  private readonly header = new Uint8Array(HEADER_SIZE);
  private headerUsed = 0;
  private message: Message | undefined;
  private bodyUsed = 0;

  /**
   * Yields the messages that these bytes complete; what is left waits for the next call.
   * @throws XenstoreProtocolError on a payload above 4096 bytes: there is no way to find the next message
   */
  *feed(bytes: Uint8Array): Generator<Message, void> {
    let rest = bytes;
    while (rest.length > 0 || this.message?.body.length === this.bodyUsed) {
      if (!this.message) {
        rest = this.takeHeader(rest);
        continue;
      }
      const { body } = this.message;
      const taken = rest.subarray(0, body.length - this.bodyUsed);
      body.set(taken, this.bodyUsed);
      this.bodyUsed += taken.length;
      rest = rest.subarray(taken.length);
      if (this.bodyUsed < body.length) return;
      const complete = this.message;
      this.reset();
      yield complete;
    }
  }

  /** Bytes that complete the message under way, or at least its header. */
  get wantedBytes(): number {
    return this.message ? this.message.body.length - this.bodyUsed : HEADER_SIZE - this.headerUsed;
  }

  /** Drops a partial message. */
  reset(): void {
    this.headerUsed = 0;
    this.message = undefined;
    this.bodyUsed = 0;
  }

  private takeHeader(bytes: Uint8Array): Uint8Array {
    const taken = bytes.subarray(0, HEADER_SIZE - this.headerUsed);
    this.header.set(taken, this.headerUsed);
    this.headerUsed += taken.length;
    if (this.headerUsed === HEADER_SIZE) {
      const { type, req_id, tx_id, len } = XsdSockmsg.at(new DataView(this.header.buffer), 0);
      if (len > XENSTORE_PAYLOAD_MAX) {
        throw new XenstoreProtocolError(`A payload of ${len} bytes exceeds ${XENSTORE_PAYLOAD_MAX}.`);
      }
      this.message = { type, requestId: req_id, transactionId: tx_id, body: new Uint8Array(len) };
    }
    return bytes.subarray(taken.length);
  }
}
