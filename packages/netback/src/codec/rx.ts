import { NetifRxRequest, NetifRxResponse } from '@xenolith/xen-abi';

/** A page that a guest offers for packets to come. */
export interface RxRequest {
  id: number;
  ref: number;
}

/** What came into such a page. The response lies in the slot of its request. */
export interface RxResponse {
  id: number;
  /** Where in the page the bytes begin. */
  offset: number;
  /** `NETRXF_*` */
  flags: number;
  /** Bytes of this piece, or a `NETIF_RSP_*` below 0. */
  status: number;
}

/** Bytes of a receive ring's slot: requests, responses and extra infos have the same size. */
export const RX_SLOT_SIZE = NetifRxRequest.size;

/** @param slot a private copy */
export function decodeRxRequest(slot: Uint8Array): RxRequest {
  const { id, gref } = NetifRxRequest.at(viewOf(slot));
  return { id, ref: gref };
}

export function encodeRxRequest({ id, ref }: RxRequest): Uint8Array {
  const slot = new Uint8Array(NetifRxRequest.size);
  Object.assign(NetifRxRequest.at(viewOf(slot)), { id, gref: ref });
  return slot;
}

/** @param slot a private copy */
export function decodeRxResponse(slot: Uint8Array): RxResponse {
  const { id, offset, flags, status } = NetifRxResponse.at(viewOf(slot));
  return { id, offset, flags, status };
}

export function encodeRxResponse(response: RxResponse): Uint8Array {
  const slot = new Uint8Array(NetifRxResponse.size);
  Object.assign(NetifRxResponse.at(viewOf(slot)), response);
  return slot;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
