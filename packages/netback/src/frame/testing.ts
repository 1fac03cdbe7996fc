import { writeChecksum, writeIpChecksum } from './checksum.js';
import { findHeaders } from './headers.js';

export interface PacketOptions {
  version?: 4 | 6;
  protocol?: 'tcp' | 'udp';
  /** Bytes of payload. Default 100. */
  payload?: number;
  /** Words of options behind the IPv4 header, or of an extension header of 8 bytes behind that of IPv6. */
  options?: number;
  vlan?: boolean;
  flags?: number;
}

/** A whole frame with TCP or UDP, its checksums in place. */
export function packet({
  version = 4,
  protocol = 'tcp',
  payload = 100,
  options = 0,
  vlan = false,
  flags = 0x18,
}: PacketOptions = {}): Uint8Array {
  const ether = [
    0,
    0x16,
    0x3e,
    0,
    0,
    2,
    0,
    0x16,
    0x3e,
    0,
    0,
    1,
    ...(vlan ? [0x81, 0, 0, 7] : []),
    ...(version === 4 ? [8, 0] : [0x86, 0xdd]),
  ];
  const header = protocol === 'tcp' ? 32 : 8;
  const number = protocol === 'tcp' ? 6 : 17;
  const length = header + payload;
  const ip =
    version === 4
      ? [
          0x45 + options,
          0,
          ...u16(20 + options * 4 + length),
          0x12,
          0x34,
          0x40,
          0,
          64,
          number,
          0,
          0,
          10,
          0,
          0,
          1,
          10,
          0,
          0,
          2,
          ...new Array<number>(options * 4).fill(1),
        ]
      : [
          0x60,
          0,
          0,
          0,
          ...u16(options * 8 + length),
          options ? 0 : number,
          64,
          ...v6(1),
          ...v6(2),
          ...(options ? [number, 0, 1, 4, 0, 0, 0, 0] : []),
        ];
  const transport =
    protocol === 'tcp'
      ? [
          0x9c,
          0x40,
          0,
          80,
          1,
          2,
          3,
          4,
          5,
          6,
          7,
          8,
          0x80,
          flags,
          2,
          0,
          0,
          0,
          0,
          0,
          1,
          1,
          8,
          10,
          0,
          0,
          0,
          1,
          0,
          0,
          0,
          2,
        ]
      : [0x9c, 0x40, 0, 53, ...u16(length), 0, 0];
  const data = Uint8Array.from([
    ...ether,
    ...ip,
    ...transport,
    ...Array.from({ length: payload }, (_, i) => (i * 31) & 0xff),
  ]);
  const headers = findHeaders(data)!;
  if (version === 4) writeIpChecksum(data, headers);
  writeChecksum(data, headers);
  return data;
}

const u16 = (value: number): number[] => [value >> 8, value & 0xff];
const v6 = (last: number): number[] => [0xfd, 0, ...new Array<number>(13).fill(0), last];
