import {
  NETTXF_extra_info,
  NETTXF_more_data,
  XEN_NETIF_EXTRA_TYPE_MAX,
  XEN_NETIF_NR_SLOTS_MIN,
} from '@xenolith/xen-abi';
import { decodeExtra, type ExtraInfo } from './extra.js';
import { decodeTxRequest, type TxRequest } from './tx.js';

const PAGE = 4096;
/** An Ethernet header: less is no packet. */
const MIN_BYTES = 14;

/** A piece of a packet in a granted page. */
export interface Piece {
  ref: number;
  offset: number;
  size: number;
}

/** The slots that make one packet, as they stand in a transmit ring. */
export interface TxPacket {
  /** Its slots but those with extra info: each wants a response of its own. */
  requests: readonly TxRequest[];
  /** Slots with extra info: each wants a null response. */
  extraSlots: number;
  /** At most one of each kind counts; the last one. */
  extras: readonly ExtraInfo[];
  /** What is wrong with it: it is answered with an error, and not sent. */
  problem?: string;
}

/** The slots are no packets: nothing that follows can be understood. */
export class BrokenChain extends Error {
  override name = 'BrokenChain';
}

/**
 * Takes the slots of the next packet (io/netif.h): first slot, extra infos, further pieces. It takes all that belong to
 * a bad packet, too.
 * @param take gives a private copy of the next slot, or undefined if there is none now
 * @returns undefined if there is no slot
 * @throws BrokenChain when the ring ends within a packet (a frontend publishes whole packets), or at an extra info that
 * the protocol does not have
 */
export function takePacket(take: () => Uint8Array | undefined): TxPacket | undefined {
  const slot = take();
  if (!slot) return undefined;
  const next = (): Uint8Array => {
    const following = take();
    if (!following) throw new BrokenChain('a packet is not whole');
    return following;
  };
  const first = decodeTxRequest(slot);
  const extras = (first.flags & NETTXF_extra_info) !== 0 ? takeExtras(next) : [];
  const requests = [first];
  for (let last = first; (last.flags & NETTXF_more_data) !== 0; requests.push(last))
    last = decodeTxRequest(next());
  const packet = { requests, extras, extraSlots: extras.length };
  const problem = problemOf(packet);
  return problem === undefined ? packet : { ...packet, problem };
}

function takeExtras(next: () => Uint8Array): ExtraInfo[] {
  const extras: ExtraInfo[] = [];
  for (let more = true; more; ) {
    const decoded = decodeExtra(next());
    if (!decoded.extra) throw new BrokenChain('an extra info has a type that there is not');
    if (extras.push(decoded.extra) >= XEN_NETIF_EXTRA_TYPE_MAX)
      throw new BrokenChain('there is no end of extra infos');
    more = decoded.more;
  }
  return extras;
}

/** The first slot says the size of the whole packet; what the other pieces do not have is in its own page. */
const ownSize = (requests: readonly TxRequest[]): number =>
  requests.slice(1).reduce((rest, { size }) => rest - size, requests[0]!.size);

function problemOf({ requests, extras }: TxPacket): string | undefined {
  // Such a message has no packet.
  if (extras.some(({ kind }) => kind === 'multicast')) return undefined;
  const [first] = requests;
  if (first!.size < MIN_BYTES) return `a packet of ${first!.size} bytes`;
  if (requests.length > XEN_NETIF_NR_SLOTS_MIN) return `a packet in ${requests.length} slots`;
  if (ownSize(requests) < 0) return `the pieces have more than the packet’s ${first!.size} bytes`;
  const beyond = piecesOf(requests).find(({ offset, size }) => offset + size > PAGE);
  return beyond && `a piece reaches from ${beyond.offset} to ${beyond.offset + beyond.size} of its page`;
}

/** Where the bytes of a packet are, in order. @param requests of a packet without a problem */
export function piecesOf(requests: readonly TxRequest[]): Piece[] {
  return requests.map(({ ref, offset, size }, i) => ({
    ref,
    offset,
    size: i === 0 ? ownSize(requests) : size,
  }));
}
