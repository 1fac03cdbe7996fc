import type { FrontRing } from '@xenolith/shared-ring';
import {
  NETIF_RSP_NULL,
  NETTXF_csum_blank,
  NETTXF_data_validated,
  NETTXF_extra_info,
  NETTXF_more_data,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
} from '@xenolith/xen-abi';
import { type GrantedBuffer, XenbusError } from '@xenolith/xenbus';
import { decodeTxResponse, encodeExtra, encodeTxRequest } from '../codec/index.js';
import type { Frame } from '../frame/frame.js';

const PAGE = 4096;
const MAX_BYTES = 0xffff;

/** The frontend's end of a transmit ring. */
export class Sender {
  private readonly pending = new Map<number, GrantedBuffer>();
  private nextId = 0;

  constructor(
    private readonly ring: FrontRing,
    private readonly notify: () => void,
    private readonly allocate: () => GrantedBuffer,
  ) {}

  /** @returns false if it does not fit now */
  send(frame: Frame): boolean {
    const { ring } = this;
    const { data, segmentation } = frame;
    const pieces = Math.ceil(data.length / PAGE);
    if (data.length > MAX_BYTES || ring.free < pieces + 1) return false;
    const buffers = this.allocateAll(pieces);
    if (!buffers) return false;
    for (const [i, buffer] of buffers.entries()) {
      const piece = data.subarray(i * PAGE, (i + 1) * PAGE);
      buffer.page.write(0, piece);
      const id = this.nextId;
      this.nextId = (id + 1) & 0xffff;
      this.pending.set(id, buffer);
      const flags = (i === 0 ? firstFlags(frame) : 0) | (i < pieces - 1 ? NETTXF_more_data : 0);
      const size = i === 0 ? data.length : piece.length;
      ring.put(encodeTxRequest({ ref: buffer.ref, offset: 0, flags, id, size }));
      if (i === 0 && segmentation) {
        const type = segmentation.protocol === 'tcp4' ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6;
        ring.put(encodeExtra({ kind: 'gso', size: segmentation.size, type }, false));
      }
    }
    if (ring.push()) this.notify();
    return true;
  }

  service(): void {
    do {
      for (let slot = this.ring.take(); slot; slot = this.ring.take()) {
        const { id, status } = decodeTxResponse(slot);
        if (status === NETIF_RSP_NULL) continue;
        this.pending.get(id)?.free();
        this.pending.delete(id);
      }
    } while (this.ring.finalCheck());
  }

  close(): void {
    for (const buffer of this.pending.values()) buffer.free();
    this.pending.clear();
  }

  /** @returns undefined when memory or the grant table is full */
  private allocateAll(count: number): GrantedBuffer[] | undefined {
    const buffers: GrantedBuffer[] = [];
    try {
      while (buffers.length < count) buffers.push(this.allocate());
      return buffers;
    } catch (error) {
      for (const buffer of buffers) buffer.free();
      if (error instanceof XenbusError) return undefined;
      throw error;
    }
  }
}

function firstFlags({ checksum, segmentation }: Frame): number {
  const checked = checksum ? NETTXF_data_validated : 0;
  return checked | (checksum === 'blank' ? NETTXF_csum_blank : 0) | (segmentation ? NETTXF_extra_info : 0);
}
