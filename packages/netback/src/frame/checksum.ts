import type { Frame } from './frame.js';
import { findHeaders, type Headers } from './headers.js';

/** The sum of 16-bit big-endian words, not yet folded; an odd last byte counts as the upper half of one (RFC 1071). */
export function sum(data: Uint8Array, from: number, to: number): number {
  let total = 0;
  let at = from;
  for (; at + 1 < to; at += 2) total += (data[at]! << 8) | data[at + 1]!;
  return at < to ? total + (data[at]! << 8) : total;
}

/** One's complement of a sum, 16 bits. */
export function fold(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}

const checksumField = ({ protocol, transport }: Headers): number => transport + (protocol === 'tcp' ? 16 : 6);

/** Addresses, length and protocol: what TCP and UDP sum up beside their own bytes. */
function pseudoHeader(data: Uint8Array, { version, protocol, ip, transport, end }: Headers): number {
  const addresses = version === 4 ? sum(data, ip + 12, ip + 20) : sum(data, ip + 8, ip + 40);
  return addresses + (end - transport) + (protocol === 'tcp' ? 6 : 17);
}

/** Writes the checksum of TCP or UDP into a frame. */
export function writeChecksum(data: Uint8Array, headers: Headers): void {
  const at = checksumField(headers);
  data[at] = data[at + 1] = 0;
  const value = fold(pseudoHeader(data, headers) + sum(data, headers.transport, headers.end));
  // In UDP 0 means "none".
  const sent = value === 0 && headers.protocol === 'udp' ? 0xffff : value;
  data[at] = sent >> 8;
  data[at + 1] = sent & 0xff;
}

/** Writes the pseudo-header's sum where the checksum will be: what receivers of a blank one expect there. */
export function writeBlank(data: Uint8Array, headers: Headers): void {
  const at = checksumField(headers);
  const value = ~fold(pseudoHeader(data, headers)) & 0xffff;
  data[at] = value >> 8;
  data[at + 1] = value & 0xff;
}

/** Writes the checksum of the IPv4 header. */
export function writeIpChecksum(data: Uint8Array, { ip, transport }: Headers): void {
  data[ip + 10] = data[ip + 11] = 0;
  const value = fold(sum(data, ip, transport));
  data[ip + 10] = value >> 8;
  data[ip + 11] = value & 0xff;
}

/** Whether the checksums of a frame's IP header, TCP and UDP are right; also if it has none. For tests and captures. */
export function isIntact(data: Uint8Array): boolean {
  const headers = findHeaders(data);
  if (!headers) return true;
  const { version, protocol, ip, transport, end } = headers;
  if (version === 4 && fold(sum(data, ip, transport)) !== 0) return false;
  const at = checksumField(headers);
  if (protocol === 'udp' && data[at] === 0 && data[at + 1] === 0) return version === 4;
  return fold(pseudoHeader(data, headers) + sum(data, transport, end)) === 0;
}

/** The frame with its checksum in place. One that has no TCP or UDP stays as it is. */
export function completed(frame: Frame): Frame {
  if (frame.checksum !== 'blank') return frame;
  const headers = findHeaders(frame.data);
  const { checksum: _, ...rest } = frame;
  if (!headers) return rest;
  const data = frame.data.slice();
  writeChecksum(data, headers);
  return { ...rest, data, checksum: 'validated' };
}
