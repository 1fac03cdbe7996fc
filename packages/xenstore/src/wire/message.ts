import { XsdSockmsg } from '@xenolith/xen-abi';

/** A message of the protocol (`struct xsd_sockmsg` and its payload). */
export interface Message {
  /** `XS_*`. */
  type: number;
  requestId: number;
  /** Transaction, 0 for none. */
  transactionId: number;
  body: Uint8Array;
}

/** Bytes of a message's header. */
export const HEADER_SIZE = XsdSockmsg.size;

/** A message's header and payload as bytes. The payload's limit of 4096 bytes is the caller's to keep. */
export function encodeMessage(message: Message): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + message.body.length);
  const header = XsdSockmsg.at(new DataView(bytes.buffer), 0);
  header.type = message.type;
  header.req_id = message.requestId;
  header.tx_id = message.transactionId;
  header.len = message.body.length;
  bytes.set(message.body, HEADER_SIZE);
  return bytes;
}
