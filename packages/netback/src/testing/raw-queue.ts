import type { OwnPage } from '@xenolith/guest-api';
import { FrontRing } from '@xenolith/shared-ring';
import * as abi from '@xenolith/xen-abi';
import { type FabricGuest, settle } from '@xenolith/xenbus/testing';
import * as codec from '../codec/index.js';

/** A ring in a page of a frontend's, granted to its backend. */
export interface RawRing {
  page: OwnPage;
  ref: number;
  ring: FrontRing;
}

export function grantedRing(front: FabricGuest, back: number, slotSize: number): RawRing {
  const page = front.memory.allocate()!;
  return { page, ref: front.grants.grantAccess(back, page), ring: new FrontRing(page, { slotSize }) };
}

/** A pair of rings in the hands of a test, and the pages that it puts in. */
export class RawQueue {
  readonly tx: RawRing;
  readonly rx: RawRing;
  readonly txPort: number;
  readonly rxPort: number;
  /** Pages that were offered and have not come back. */
  private readonly offers: OwnPage[] = [];

  constructor(
    private readonly front: FabricGuest,
    private readonly back: number,
    { split }: { split: boolean },
  ) {
    this.tx = grantedRing(front, back, codec.TX_SLOT_SIZE);
    this.rx = grantedRing(front, back, codec.RX_SLOT_SIZE);
    this.txPort = front.eventChannels.allocUnbound(back);
    this.rxPort = split ? front.eventChannels.allocUnbound(back) : this.txPort;
  }

  /** A page with `data` at its start, granted. */
  buffer(data: Uint8Array = new Uint8Array(0)): { page: OwnPage; ref: number } {
    const page = this.front.memory.allocate()!;
    page.write(0, data);
    return { page, ref: this.front.grants.grantAccess(this.back, page) };
  }

  /** Puts slots in. @returns the statuses of the responses, in their order */
  async transmit(...slots: Uint8Array[]): Promise<number[]> {
    for (const slot of slots) this.tx.ring.put(slot);
    this.tx.ring.push();
    this.front.eventChannels.send(this.txPort);
    await settle();
    return this.responses();
  }

  responses(): number[] {
    const statuses: number[] = [];
    const { ring } = this.tx;
    for (let slot = ring.take(); slot; slot = ring.take()) statuses.push(codec.decodeTxResponse(slot).status);
    return statuses;
  }

  /** A frame as slots of the transmit ring. */
  slotsOf(data: Uint8Array, flags = 0, extras: readonly codec.ExtraInfo[] = []): Uint8Array[] {
    const count = Math.ceil(data.length / 4096);
    const requests = Array.from({ length: count }, (_, i) => {
      const piece = data.subarray(i * 4096, (i + 1) * 4096);
      const own = i === 0 ? flags | (extras.length > 0 ? abi.NETTXF_extra_info : 0) : 0;
      return codec.encodeTxRequest({
        ref: this.buffer(piece).ref,
        offset: 0,
        id: i,
        size: i === 0 ? data.length : piece.length,
        flags: own | (i < count - 1 ? abi.NETTXF_more_data : 0),
      });
    });
    const extraSlots = extras.map((extra, i) => codec.encodeExtra(extra, i < extras.length - 1));
    return [requests[0]!, ...extraSlots, ...requests.slice(1)];
  }

  /** Offers pages for packets to come. */
  async offer(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const { page, ref } = this.buffer();
      this.offers.push(page);
      this.rx.ring.put(codec.encodeRxRequest({ id: i, ref }));
    }
    this.rx.ring.push();
    this.front.eventChannels.send(this.rxPort);
    await settle();
  }

  /** The slots that came, with the page that each had. */
  received(): { slot: Uint8Array; page: OwnPage }[] {
    const slots: { slot: Uint8Array; page: OwnPage }[] = [];
    const { ring } = this.rx;
    for (let slot = ring.take(); slot; slot = ring.take()) slots.push({ slot, page: this.offers.shift()! });
    return slots;
  }

  /** The frames that came, without their extra infos. */
  frames(): { flags: number; data: Uint8Array }[] {
    const out: { flags: number; data: Uint8Array }[] = [];
    let rest: number[] | undefined;
    let skip = false;
    for (const { slot, page } of this.received()) {
      if (skip) {
        skip = codec.decodeExtra(slot).more;
        continue;
      }
      const { offset, status, flags } = codec.decodeRxResponse(slot);
      if (!rest) out.push({ flags: flags & ~abi.NETRXF_more_data, data: new Uint8Array(0) });
      skip = !rest && (flags & abi.NETRXF_extra_info) !== 0;
      rest = [...(rest ?? []), ...page.read(offset, Math.max(status, 0))];
      out.at(-1)!.data = Uint8Array.from(rest);
      if ((flags & abi.NETRXF_more_data) === 0) rest = undefined;
    }
    return out;
  }
}
