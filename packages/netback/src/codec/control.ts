import { XenNetifCtrlRequest, XenNetifCtrlResponse } from '@xenolith/xen-abi';

/** A message of the control ring. */
export interface ControlRequest {
  id: number;
  /** `XEN_NETIF_CTRL_TYPE_*` */
  type: number;
  /** Three words, by type. */
  data: readonly number[];
}

export interface ControlResponse {
  id: number;
  type: number;
  /** `XEN_NETIF_CTRL_STATUS_*` */
  status: number;
  data: number;
}

/** Bytes of a control ring's slot. */
export const CONTROL_SLOT_SIZE = XenNetifCtrlRequest.size;

/** @param slot a private copy */
export function decodeControlRequest(slot: Uint8Array): ControlRequest {
  const { id, type, data } = XenNetifCtrlRequest.at(viewOf(slot));
  return { id, type, data: [...data] };
}

export function encodeControlRequest({ id, type, data }: ControlRequest): Uint8Array {
  const slot = new Uint8Array(XenNetifCtrlRequest.size);
  const request = XenNetifCtrlRequest.at(viewOf(slot));
  request.id = id;
  request.type = type;
  data.forEach((word, i) => {
    request.data.set(i, word);
  });
  return slot;
}

/** @param slot a private copy */
export function decodeControlResponse(slot: Uint8Array): ControlResponse {
  const { id, type, status, data } = XenNetifCtrlResponse.at(viewOf(slot));
  return { id, type, status, data };
}

export function encodeControlResponse(response: ControlResponse): Uint8Array {
  const slot = new Uint8Array(XenNetifCtrlResponse.size);
  Object.assign(XenNetifCtrlResponse.at(viewOf(slot)), response);
  return slot;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
