import { NETIF_RSP_NULL, NetifTxRequest, NetifTxResponse } from '@xenolith/xen-abi';

/** A slot of a transmit ring that is no extra info: a piece of a packet that a guest sends. */
export interface TxRequest {
  ref: number;
  /** Where in the page the piece begins. */
  offset: number;
  /** `NETTXF_*` */
  flags: number;
  id: number;
  /** In a packet's first slot the bytes of the whole packet, in later ones those of the piece. */
  size: number;
}

export interface TxResponse {
  id: number;
  /** `NETIF_RSP_*` */
  status: number;
}

/** Bytes of a transmit ring's slot: the request is the largest that lies there. */
export const TX_SLOT_SIZE = NetifTxRequest.size;

/** @param slot a private copy */
export function decodeTxRequest(slot: Uint8Array): TxRequest {
  const { gref, offset, flags, id, size } = NetifTxRequest.at(viewOf(slot));
  return { ref: gref, offset, flags, id, size };
}

export function encodeTxRequest({ ref, offset, flags, id, size }: TxRequest): Uint8Array {
  const slot = new Uint8Array(NetifTxRequest.size);
  Object.assign(NetifTxRequest.at(viewOf(slot)), { gref: ref, offset, flags, id, size });
  return slot;
}

/** @param slot a private copy */
export function decodeTxResponse(slot: Uint8Array): TxResponse {
  const { id, status } = NetifTxResponse.at(viewOf(slot));
  return { id, status };
}

export function encodeTxResponse(response: TxResponse): Uint8Array {
  const slot = new Uint8Array(NetifTxResponse.size);
  Object.assign(NetifTxResponse.at(viewOf(slot)), response);
  return slot;
}

/** What answers a slot with extra info: the frontend ignores it. */
export const NULL_RESPONSE: TxResponse = { id: 0, status: NETIF_RSP_NULL };

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
