import type { Clock } from '@xenolith/guest-api';
import type { BackRing } from '@xenolith/shared-ring';
import {
  NETIF_RSP_ERROR,
  NETIF_RSP_OKAY,
  NETTXF_csum_blank,
  NETTXF_data_validated,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
} from '@xenolith/xen-abi';
import {
  BrokenChain,
  type ExtraInfo,
  encodeTxResponse,
  NULL_RESPONSE,
  piecesOf,
  type TxPacket,
  takePacket,
} from '../codec/index.js';
import type { Frame, Segmentation } from '../frame/frame.js';
import { findHeaders } from '../frame/headers.js';
import { MIN_SEGMENT, segmentable } from '../frame/segment.js';
import type { FrontendMemory } from './frontend-memory.js';
import type { Vif } from './vif.js';

export interface TxQueueOptions {
  vif: Vif;
  ring: BackRing;
  memory: FrontendMemory;
  clock: Clock;
  notify(): void;
  /** Whether the ring's page is still there. */
  live(): boolean;
  /** The frontend broke the ring's rules: it is served no longer. */
  onCorrupt(problem: string): void;
}

/** A ring by which a guest sends. */
export class TxQueue {
  private closed = false;
  /** Waits for credit; nothing behind it is taken. */
  private held: TxPacket | undefined;
  private cancelWait: (() => void) | undefined;

  constructor(private readonly options: TxQueueOptions) {}

  /** Sends all there is; called on each event. */
  service(): void {
    const { ring, live, onCorrupt } = this.options;
    if (this.closed || !live()) return;
    let broken: string | undefined;
    try {
      do {
        while (this.step());
      } while (!this.held && ring.finalCheck());
    } catch (error) {
      if (!(error instanceof BrokenChain)) throw error;
      broken = error.message;
    }
    if (ring.push()) this.options.notify();
    if (ring.corrupt) broken = 'the indices of a ring are impossible';
    if (broken === undefined) return;
    this.close();
    onCorrupt(broken);
  }

  close(): void {
    this.closed = true;
    this.held = undefined;
    this.cancelWait?.();
  }

  /** Sends the next packet. @returns whether there may be another */
  private step(): boolean {
    const { ring, vif } = this.options;
    const packet = this.held ?? takePacket(() => ring.take());
    this.held = undefined;
    if (!packet) return false;
    const waitNs = packet.problem === undefined ? (vif.rate?.take(packet.requests[0]!.size) ?? 0) : 0;
    if (waitNs > 0) {
      this.wait(packet, waitNs);
      return false;
    }
    const problem = packet.problem ?? this.perform(packet);
    if (problem !== undefined) vif.noteBad(problem);
    this.answer(packet, problem === undefined ? NETIF_RSP_OKAY : NETIF_RSP_ERROR);
    return true;
  }

  private wait(packet: TxPacket, ns: number): void {
    this.held = packet;
    this.cancelWait?.();
    this.cancelWait = this.options.clock.after(ns, () => this.service());
  }

  /** @returns what is wrong with the packet, if anything */
  private perform(packet: TxPacket): string | undefined {
    const { vif } = this.options;
    const messages = packet.extras.filter((extra) => extra.kind === 'multicast');
    if (messages.length > 0) return this.joinGroups(messages);
    const data = this.gather(packet);
    if (!data) return 'a page cannot be read';
    const frame = describe(data, packet);
    if (typeof frame === 'string') return frame;
    vif.transmit(frame);
    return undefined;
  }

  private joinGroups(messages: readonly (ExtraInfo & { kind: 'multicast' })[]): string | undefined {
    const { multicast } = this.options.vif.options;
    for (const { operation, address } of messages) {
      if (operation === 'remove') multicast?.remove(address);
      else if (multicast && !multicast.add(address)) return 'the guest has joined too many groups';
    }
    return undefined;
  }

  /** The bytes of a packet, each copied out of the guest once. */
  private gather({ requests }: TxPacket): Uint8Array | undefined {
    const data = new Uint8Array(requests[0]!.size);
    let at = 0;
    for (const { ref, offset, size } of piecesOf(requests)) {
      const bytes = this.options.memory.read(ref, offset, size);
      if (!bytes) return undefined;
      data.set(bytes, at);
      at += size;
    }
    return data;
  }

  private answer({ requests, extraSlots }: TxPacket, status: number): void {
    const { ring } = this.options;
    for (const { id } of requests) ring.put(encodeTxResponse({ id, status }));
    for (let i = 0; i < extraSlots; i++) ring.put(encodeTxResponse(NULL_RESPONSE));
  }
}

const PROTOCOLS = new Map<number, Segmentation['protocol']>([
  [XEN_NETIF_GSO_TYPE_TCPV4, 'tcp4'],
  [XEN_NETIF_GSO_TYPE_TCPV6, 'tcp6'],
]);

/** The frame with what the guest left undone, or what is wrong with that. */
function describe(data: Uint8Array, { requests, extras }: TxPacket): Frame | string {
  const { flags } = requests[0]!;
  const gso = extras.findLast((extra) => extra.kind === 'gso');
  if (gso) {
    const protocol = PROTOCOLS.get(gso.type);
    if (!protocol) return `segments of the unknown kind ${gso.type}`;
    if (gso.size < MIN_SEGMENT) return `segments of ${gso.size} bytes`;
    const segmentation = { protocol, size: gso.size };
    if (!segmentable(data, segmentation)) return 'a packet to be segmented is no TCP';
    return { data, checksum: 'blank', segmentation };
  }
  if ((flags & NETTXF_csum_blank) !== 0)
    return findHeaders(data) ? { data, checksum: 'blank' } : 'a checksum is blank where there is none';
  return (flags & NETTXF_data_validated) !== 0 ? { data, checksum: 'validated' } : { data };
}
