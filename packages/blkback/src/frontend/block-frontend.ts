import type { Guest, OwnPage } from '@xenolith/guest-api';
import { FrontRing } from '@xenolith/shared-ring';
import {
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_RSP_OKAY,
  VDISK_READONLY,
  XEN_IO_PROTO_ABI_X86_64,
  x86_64,
} from '@xenolith/xen-abi';
import {
  type DeviceEnd,
  type FrontendDevice,
  type FrontendDriver,
  GrantedBuffer,
  XenbusError,
  XenbusState,
} from '@xenolith/xenbus';
import { type BlockRequest, decodeResponse, encodeRequest, type Segment, slotSize } from '../codec/index.js';

const SECTOR = 512;
const PAGE = 4096;
const MAX_BYTES = BLKIF_MAX_SEGMENTS_PER_REQUEST * PAGE;

/** A disk as a guest in TypeScript uses it. Offsets and lengths are bytes, multiples of 512. */
export interface FrontDisk {
  readonly size: number;
  readonly readonly: boolean;
  read(offset: number, length: number): Promise<Uint8Array>;
  write(offset: number, data: Uint8Array): Promise<void>;
  flush(): Promise<void>;
  discard(offset: number, length: number): Promise<void>;
}

/**
 * The frontend of block devices for guests in TypeScript: one ring of a page, eleven segments a request.
 * @param onDisk is told when a disk may be used, and with undefined when it is gone; `id` is its number
 */
export function blockFrontend(
  guest: Guest,
  onDisk: (id: string, disk: FrontDisk | undefined) => void,
): FrontendDriver {
  return {
    type: 'vbd',
    probe: async (end) => new BlockFrontendDevice(guest, end, onDisk),
  };
}

interface Pending {
  request: BlockRequest;
  resolve(): void;
  reject(error: Error): void;
}

class BlockFrontendDevice implements FrontendDevice {
  private ring: FrontRing | undefined;
  private shared: GrantedBuffer | undefined;
  private port = -1;
  private nextId = 1n;
  private readonly pending = new Map<bigint, Pending>();
  /** Requests that wait for a free slot. */
  private readonly waiting: Pending[] = [];
  private readonly handle: number;

  constructor(
    private readonly guest: Guest,
    private readonly end: DeviceEnd,
    private readonly onDisk: (id: string, disk: FrontDisk | undefined) => void,
  ) {
    this.handle = Number(end.identity.id);
  }

  async setUp(): Promise<typeof XenbusState.initialised> {
    const { end, guest } = this;
    this.shared = this.allocate();
    this.ring = new FrontRing(this.shared.page, { slotSize: slotSize(x86_64) });
    this.port = guest.eventChannels.allocUnbound(end.otherId);
    if (this.port < 0) throw new XenbusError('ENOMEM', `no event channel for ${end.name}: ${this.port}`);
    guest.eventChannels.onEvent(this.port, () => this.service());
    await end.own.write({
      'ring-ref': this.shared.ref,
      'event-channel': this.port,
      protocol: XEN_IO_PROTO_ABI_X86_64,
    });
    return XenbusState.initialised;
  }

  async connected(): Promise<void> {
    const { other, identity } = this.end;
    const size = (await other.number('sectors', Number.MAX_SAFE_INTEGER / SECTOR)) * SECTOR;
    const info = (await other.findNumber('info')) ?? 0;
    this.onDisk(identity.id, {
      size,
      readonly: (info & VDISK_READONLY) !== 0,
      read: (offset, length) => this.read(offset, length),
      write: (offset, data) => this.write(offset, data),
      flush: () => this.send({ kind: 'flush', id: this.nextId++, sector: 0n, segments: [], claimed: 0 }),
      discard: (offset, length) =>
        this.send({
          kind: 'discard',
          id: this.nextId++,
          sector: BigInt(offset / SECTOR),
          sectors: BigInt(length / SECTOR),
          secure: false,
        }),
    });
  }

  async disconnect(): Promise<void> {
    this.onDisk(this.end.identity.id, undefined);
    const gone = new XenbusError('ENODEV', `${this.end.name} is gone`);
    for (const { reject } of [...this.pending.values(), ...this.waiting.splice(0)]) reject(gone);
    this.pending.clear();
    this.guest.eventChannels.close(this.port);
    this.shared?.free();
    this.shared = this.ring = undefined;
  }

  private async read(offset: number, length: number): Promise<Uint8Array> {
    const out = new Uint8Array(length);
    const parts: Promise<void>[] = [];
    for (let at = 0; at < length; at += MAX_BYTES) {
      const piece = Math.min(length - at, MAX_BYTES);
      const part = this.transfer('read', offset + at, piece, (page, from, bytes) =>
        out.set(page.read(0, bytes), at + from),
      );
      parts.push(part);
    }
    await Promise.all(parts);
    return out;
  }

  private async write(offset: number, data: Uint8Array): Promise<void> {
    const parts: Promise<void>[] = [];
    for (let at = 0; at < data.length; at += MAX_BYTES) {
      const piece = Math.min(data.length - at, MAX_BYTES);
      const part = this.transfer('write', offset + at, piece, (page, from, bytes) =>
        page.write(0, data.subarray(at + from, at + from + bytes)),
      );
      parts.push(part);
    }
    await Promise.all(parts);
  }

  /** One request's worth. `move` copies between a page and bytes `from` on: before a write, after a read. */
  private async transfer(
    kind: 'read' | 'write',
    offset: number,
    length: number,
    move: (page: OwnPage, from: number, bytes: number) => void,
  ): Promise<void> {
    const buffers: GrantedBuffer[] = [];
    const segments: Segment[] = [];
    const each = (work: (buffer: GrantedBuffer, from: number, bytes: number) => void) => {
      for (const [i, buffer] of buffers.entries()) work(buffer, i * PAGE, Math.min(PAGE, length - i * PAGE));
    };
    try {
      for (let at = 0; at < length; at += PAGE) buffers.push(this.allocate());
      each(({ page, ref }, from, bytes) => {
        if (kind === 'write') move(page, from, bytes);
        segments.push({ ref, first: 0, last: bytes / SECTOR - 1 });
      });
      const sector = BigInt(offset / SECTOR);
      await this.send({ kind, id: this.nextId++, sector, segments, claimed: segments.length });
      if (kind === 'read') each(({ page }, from, bytes) => move(page, from, bytes));
    } finally {
      for (const buffer of buffers) buffer.free();
    }
  }

  private send(request: BlockRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ request, resolve, reject });
      this.submit();
    });
  }

  private submit(): void {
    const { ring } = this;
    if (!ring) {
      for (const { reject } of this.waiting.splice(0))
        reject(new XenbusError('ENODEV', `${this.end.name} is gone`));
      return;
    }
    while (ring.free > 0 && this.waiting.length > 0) {
      const next = this.waiting.shift()!;
      this.pending.set(next.request.id, next);
      ring.put(encodeRequest(next.request, this.handle));
    }
    if (ring.push()) this.guest.eventChannels.send(this.port);
  }

  private service(): void {
    const { ring } = this;
    if (!ring) return;
    do {
      for (let slot = ring.take(); slot; slot = ring.take()) {
        const { id, status } = decodeResponse(slot);
        const done = this.pending.get(id);
        this.pending.delete(id);
        if (status === BLKIF_RSP_OKAY) done?.resolve();
        else
          done?.reject(
            new XenbusError('EIO', `${this.end.name}: a ${done.request.kind} failed with status ${status}`),
          );
      }
    } while (ring.finalCheck());
    this.submit();
  }

  private allocate(): GrantedBuffer {
    return GrantedBuffer.allocate(this.guest, this.end.otherId);
  }
}
