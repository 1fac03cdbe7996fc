import { type Abi, BlkifResponse, x86_64 } from '@xenolith/xen-abi';

/** A response of the block protocol. */
export interface BlockResponse {
  id: bigint;
  /** `BLKIF_OP_*` of the request. */
  operation: number;
  /** `BLKIF_RSP_*` */
  status: number;
}

/** A response's slot. */
export function encodeResponse({ id, operation, status }: BlockResponse, abi: Abi = x86_64): Uint8Array {
  const layout = BlkifResponse.for(abi);
  const slot = new Uint8Array(layout.size);
  const response = layout.at(new DataView(slot.buffer));
  response.id = id;
  response.operation = operation;
  response.status = status;
  return slot;
}

/** @param slot a private copy */
export function decodeResponse(slot: Uint8Array, abi: Abi = x86_64): BlockResponse {
  const { id, operation, status } = BlkifResponse.for(abi).at(
    new DataView(slot.buffer, slot.byteOffset, slot.byteLength),
  );
  return { id, operation, status };
}
