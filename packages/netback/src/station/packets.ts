import { fold, sum } from '../frame/checksum.js';

const ARP = 0x0806;
const IPV4 = 0x0800;
const ICMP = 1;
const TTL = 64;
const MIN_FRAME = 60;

export const BROADCAST = new Uint8Array(6).fill(0xff);
export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;
export const ECHO_REQUEST = 8;
export const ECHO_REPLY = 0;

/** One machine on a network: six and four bytes. */
export interface Party {
  mac: Uint8Array;
  ip: Uint8Array;
}

/** ARP for IPv4 over Ethernet (RFC 826). */
export interface ArpPacket {
  operation: number;
  from: Party;
  to: Party;
}

/** An echo request or reply (RFC 792). */
export interface EchoPacket {
  type: number;
  from: Party;
  to: Party;
  id: number;
  sequence: number;
  data: Uint8Array;
}

export function encodeArp({ operation, from, to }: ArpPacket): Uint8Array {
  const receiver = operation === ARP_REQUEST ? BROADCAST : to.mac;
  const body = [0, 1, IPV4 >> 8, 0, 6, 4, 0, operation];
  return ethernet(receiver, from.mac, ARP, [...body, ...from.mac, ...from.ip, ...to.mac, ...to.ip]);
}

export function encodeEcho({ type, from, to, id, sequence, data }: EchoPacket): Uint8Array {
  const icmp = [type, 0, 0, 0, id >> 8, id & 0xff, sequence >> 8, sequence & 0xff, ...data];
  const length = 20 + icmp.length;
  const header = [0x45, 0, length >> 8, length & 0xff, 0, 0, 0x40, 0, TTL, ICMP, 0, 0, ...from.ip, ...to.ip];
  return ethernet(to.mac, from.mac, IPV4, [...summed(header, 10), ...summed(icmp, 2)]);
}

/** @returns undefined if the frame is none */
export function decodeArp(frame: Uint8Array): ArpPacket | undefined {
  if (frame.length < 42 || u16(frame, 12) !== ARP || u16(frame, 16) !== IPV4) return undefined;
  return { operation: u16(frame, 20), from: party(frame, 22), to: party(frame, 32) };
}

/** @returns undefined if the frame is none, a fragment, or damaged */
export function decodeEcho(frame: Uint8Array): EchoPacket | undefined {
  if (frame.length < 42 || u16(frame, 12) !== IPV4 || frame[23] !== ICMP) return undefined;
  const icmp = 14 + (frame[14]! & 15) * 4;
  const end = 14 + u16(frame, 16);
  if (frame[14]! >> 4 !== 4 || (u16(frame, 20) & 0x3fff) !== 0) return undefined;
  if (icmp < 34 || icmp + 8 > end || end > frame.length) return undefined;
  if (fold(sum(frame, 14, icmp)) !== 0 || fold(sum(frame, icmp, end)) !== 0) return undefined;
  return {
    type: frame[icmp]!,
    from: { mac: frame.slice(6, 12), ip: frame.slice(26, 30) },
    to: { mac: frame.slice(0, 6), ip: frame.slice(30, 34) },
    id: u16(frame, icmp + 4),
    sequence: u16(frame, icmp + 6),
    data: frame.slice(icmp + 8, end),
  };
}

function ethernet(to: Uint8Array, from: Uint8Array, type: number, body: readonly number[]): Uint8Array {
  const frame = new Uint8Array(Math.max(14 + body.length, MIN_FRAME));
  frame.set([...to, ...from, type >> 8, type & 0xff, ...body]);
  return frame;
}

/** The bytes with their checksum at byte `at`. */
function summed(bytes: readonly number[], at: number): Uint8Array {
  const out = Uint8Array.from(bytes);
  const checksum = fold(sum(out, 0, out.length));
  out.set([checksum >> 8, checksum & 0xff], at);
  return out;
}

const u16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

const party = (frame: Uint8Array, at: number): Party => ({
  mac: frame.slice(at, at + 6),
  ip: frame.slice(at + 6, at + 10),
});
