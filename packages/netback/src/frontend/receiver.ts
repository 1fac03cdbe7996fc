import type { FrontRing } from '@xenolith/shared-ring';
import {
  NETRXF_csum_blank,
  NETRXF_data_validated,
  NETRXF_extra_info,
  NETRXF_more_data,
  XEN_NETIF_GSO_TYPE_TCPV4,
} from '@xenolith/xen-abi';
import type { GrantedBuffer } from '@xenolith/xenbus';
import { decodeExtra, decodeRxResponse, encodeRxRequest } from '../codec/index.js';
import type { Frame, Segmentation } from '../frame/frame.js';
import type { FrameReceiver } from '../ports/network-port.js';

const PAGE = 4096;
/** Pages that are offered: room for the largest frame more than three times. */
const BUFFERS = 64;

/** A frame that is being put together. */
interface Partial {
  parts: Uint8Array[];
  flags: number;
  segmentation?: Segmentation;
  /** A part of it could not be delivered, or cannot be believed. */
  isBad: boolean;
}

/** The frontend's end of a receive ring. Its pages are offered again and again. */
export class Receiver {
  /** What has been offered, in the order of the ring's slots. */
  private readonly offered: GrantedBuffer[] = [];
  private receiver: FrameReceiver | undefined;
  private partial: Partial | undefined;
  private expectsExtra = false;
  private nextId = 0;

  constructor(
    private readonly ring: FrontRing,
    private readonly notify: () => void,
    allocate: () => GrantedBuffer,
  ) {
    for (let i = 0; i < BUFFERS; i++) this.offer(allocate());
    ring.push();
  }

  connect(receiver: FrameReceiver | undefined): void {
    this.receiver = receiver;
  }

  service(): void {
    do {
      for (let slot = this.ring.take(); slot; slot = this.ring.take()) {
        const buffer = this.offered.shift()!;
        if (this.expectsExtra) this.takeExtra(slot);
        else this.takePiece(slot, buffer);
        this.offer(buffer);
      }
    } while (this.ring.finalCheck());
    if (this.ring.push()) this.notify();
  }

  close(): void {
    for (const buffer of this.offered.splice(0)) buffer.free();
  }

  private offer(buffer: GrantedBuffer): void {
    this.offered.push(buffer);
    this.ring.put(encodeRxRequest({ id: this.nextId, ref: buffer.ref }));
    this.nextId = (this.nextId + 1) & 0xffff;
  }

  private takeExtra(slot: Uint8Array): void {
    const { extra, more } = decodeExtra(slot);
    this.expectsExtra = more;
    const { partial } = this;
    if (extra?.kind === 'gso' && partial) {
      const protocol = extra.type === XEN_NETIF_GSO_TYPE_TCPV4 ? 'tcp4' : 'tcp6';
      partial.segmentation = { protocol, size: extra.size };
    }
    if (!more) this.finishIfWhole();
  }

  private takePiece(slot: Uint8Array, { page }: GrantedBuffer): void {
    const { offset, flags, status } = decodeRxResponse(slot);
    this.partial ??= { parts: [], flags, isBad: false };
    const { partial } = this;
    this.expectsExtra = partial.parts.length === 0 && (flags & NETRXF_extra_info) !== 0;
    const isBad = status < 0 || offset + status > PAGE || partial.parts.length > BUFFERS;
    partial.isBad ||= isBad;
    partial.parts.push(isBad ? new Uint8Array(0) : page.read(offset, status));
    partial.flags = (partial.flags & ~NETRXF_more_data) | (flags & NETRXF_more_data);
    if (!this.expectsExtra) this.finishIfWhole();
  }

  private finishIfWhole(): void {
    const { partial } = this;
    if (!partial || (partial.flags & NETRXF_more_data) !== 0) return;
    this.partial = undefined;
    if (!partial.isBad) this.receiver?.(frameOf(partial));
  }
}

function frameOf({ parts, flags, segmentation }: Partial): Frame {
  const data = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  if (segmentation) return { data, checksum: 'blank', segmentation };
  if ((flags & NETRXF_csum_blank) !== 0) return { data, checksum: 'blank' };
  return (flags & NETRXF_data_validated) !== 0 ? { data, checksum: 'validated' } : { data };
}
