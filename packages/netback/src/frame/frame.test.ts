import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { completed, isIntact, writeBlank } from './checksum.js';
import { findHeaders, findIp } from './headers.js';
import { segment } from './segment.js';
import { packet } from './testing.js';
import { hashFrame, toeplitz } from './toeplitz.js';

const hex = (text: string) =>
  Uint8Array.from(text.replace(/\s/g, '').match(/../g)!, (byte) => Number.parseInt(byte, 16));

/** Checksums as RFC 793 and 768 say it, one word after the other. */
function transportSum(data: Uint8Array): number {
  const { version, ip, transport, end, protocol } = findHeaders(data)!;
  const addresses = version === 4 ? data.slice(ip + 12, ip + 20) : data.slice(ip + 8, ip + 40);
  const length = end - transport;
  const bytes = [
    ...addresses,
    length >> 8,
    length & 255,
    0,
    protocol === 'tcp' ? 6 : 17,
    ...data.slice(transport, end),
    0,
  ];
  let sum = 0;
  for (let i = 0; i + 1 < bytes.length; i += 2) {
    sum += bytes[i]! * 256 + bytes[i + 1]!;
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

const kinds = [4, 6].flatMap((version) =>
  (['tcp', 'udp'] as const).flatMap((protocol) => [
    { version: version as 4 | 6, protocol },
    { version: version as 4 | 6, protocol, payload: 101, vlan: true },
    { version: version as 4 | 6, protocol, options: 1, payload: 0 },
  ]),
);

describe('checksums', () => {
  it('of a packet summed by hand', () => {
    const frame = hex(
      `ffffffffffff 00163e000001 0800 4500 0028 0000 4000 4006 26ce 0a000001 0a000002
       1234 0050 00000000 00000000 5002 2000 0000 0000`,
    );
    expect(findHeaders(frame)).toMatchObject({ version: 4, protocol: 'tcp', transport: 34, end: 54 });
    // 0a00 + 0001 + 0a00 + 0002 + 0006 + 0014 + 1234 + 0050 + 5002 + 2000 = 96a3
    expect(isIntact(frame)).toBe(false);
    const whole = completed({ data: frame, checksum: 'blank' }).data;
    expect([whole[50], whole[51]]).toEqual([0x69, 0x5c]);
    expect(isIntact(whole)).toBe(true);
  });

  it.each(kinds)('are computed where they are blank: $version $protocol $payload', (kind) => {
    const data = packet(kind);
    expect(transportSum(data)).toBe(0xffff);
    const blank = data.slice();
    writeBlank(blank, findHeaders(data)!);
    expect(isIntact(blank)).toBe(false);
    const whole = completed({ data: blank, checksum: 'blank' });
    expect(whole).toEqual({ data, checksum: 'validated' });
    // The frame that was given stays as it is.
    expect(blank).not.toEqual(data);
  });

  it('a change of any byte is seen', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (kind, where, change) => {
          const data = packet(kind);
          const { transport, end } = findHeaders(data)!;
          const at = transport + (where % (end - transport));
          data[at]! ^= change;
          const headers = findHeaders(data);
          const noChecksum =
            kind.protocol === 'udp' &&
            headers &&
            data[headers.transport + 6] === 0 &&
            data[headers.transport + 7] === 0;
          if (headers && !noChecksum) expect(isIntact(data)).toBe(false);
        },
      ),
    );
  });

  it('a UDP checksum that comes to 0 is sent as ffff', () => {
    const data = packet({ protocol: 'udp', payload: 2 });
    const { transport } = findHeaders(data)!;
    // The payload takes the sum to ffff.
    const sum = transportSum(Uint8Array.from(data).fill(0, transport + 6));
    const last = 0xffff - sum;
    data.set([last >> 8, last & 0xff], data.length - 2);
    const whole = completed({ data, checksum: 'blank' }).data;
    expect([whole[transport + 6], whole[transport + 7]]).toEqual([0xff, 0xff]);
  });

  it('frames without TCP or UDP stay as they are', () => {
    const arp = hex(
      'ffffffffffff 00163e000001 0806 0001 0800 0604 0001 00163e000001 0a000001 000000000000 0a000002',
    );
    expect(completed({ data: arp, checksum: 'blank' })).toEqual({ data: arp });
    expect(isIntact(arp)).toBe(true);
  });
});

describe('headers', () => {
  it('of fragments are not looked for', () => {
    const data = packet();
    data[20] = 0x20;
    expect([findHeaders(data), findIp(data)?.protocol]).toEqual([undefined, -1]);
  });

  it.each([
    ['a total length beyond the frame', 16, 0xff],
    ['a header of less than 20 bytes', 14, 0x44],
    ['another version', 14, 0x65],
    ['a TCP header of less than 20 bytes', 46, 0x40],
    ['a TCP header beyond the packet', 46, 0xf0],
  ])('%s is none', (_, at, value) => {
    const data = packet({ payload: 4 });
    data[at] = value;
    expect(findHeaders(data)).toBeUndefined();
  });

  it('property: any bytes have headers within them, or none', () => {
    const frames = fc.tuple(
      fc.constantFrom(...kinds),
      fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 }),
      fc.nat(160),
    );
    fc.assert(
      fc.property(frames, ([kind, changes, cut]) => {
        const data = packet(kind);
        for (const [at, value] of changes) data[at] = value;
        const frame = data.slice(0, cut);
        const headers = findHeaders(frame);
        completed({ data: frame, checksum: 'blank' });
        if (!headers) return;
        const { ip, transport, payload, end } = headers;
        expect([ip < transport, transport < payload, payload <= end, end <= frame.length]).toEqual([
          true,
          true,
          true,
          true,
        ]);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('segmentation', () => {
  it.each([4, 6] as const)('cuts TCP over IPv%i as a network card does', (version) => {
    const data = packet({ version, payload: 4000, flags: 0x99 });
    const protocol = version === 4 ? ('tcp4' as const) : ('tcp6' as const);
    const frames = segment({ data, checksum: 'blank', segmentation: { protocol, size: 1448 } }, 'validated');
    const whole = findHeaders(data)!;
    const view = (bytes: Uint8Array) => new DataView(bytes.buffer);
    const joined: number[] = [];
    for (const [i, frame] of frames.entries()) {
      const headers = findHeaders(frame.data)!;
      expect(headers.end).toBe(frame.data.length);
      expect(isIntact(frame.data)).toBe(true);
      expect(view(frame.data).getUint32(headers.transport + 4)).toBe(0x01020304 + i * 1448);
      if (version === 4) expect(view(frame.data).getUint16(headers.ip + 4)).toBe(0x1234 + i);
      joined.push(...frame.data.subarray(headers.payload));
    }
    // CWR with the first, FIN and PSH with the last, ACK with all.
    expect(frames.map(({ data: bytes }) => bytes[whole.transport + 13])).toEqual([0x90, 0x10, 0x19]);
    expect(Uint8Array.from(joined)).toEqual(data.slice(whole.payload));
  });

  it('leaves checksums blank for those who can compute them', () => {
    const data = packet({ payload: 2000 });
    const frames = segment(
      { data, checksum: 'blank', segmentation: { protocol: 'tcp4', size: 1000 } },
      'blank',
    );
    expect(frames.map(({ checksum, data: { length } }) => [checksum, length])).toEqual([
      ['blank', 1066],
      ['blank', 1066],
    ]);
    expect(frames.map((frame) => isIntact(completed(frame).data))).toEqual([true, true]);
  });

  it('lets be what is not what it says', () => {
    const frame = {
      data: packet({ version: 6 }),
      checksum: 'blank' as const,
      segmentation: { protocol: 'tcp4' as const, size: 100 },
    };
    expect(segment(frame, 'blank')).toEqual([frame]);
  });
});

describe('Toeplitz hashes', () => {
  // The verification suite of Microsoft's "Verifying the RSS Hash Calculation".
  const key = hex('6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa');

  it.each([
    ['420995bb a18e6450', '0aea 06e6', 0x323e8fc2, 0x51ccc178],
    ['c75c6f02 41458c53', '3796 1283', 0xd718262a, 0xc626b0ea],
    [
      '3ffe250102001fff0000000000000007 3ffe2501020000030000000000000001',
      '0aea 06e6',
      0x2cc18cd5,
      0x40207d3d,
    ],
  ])('%s', (addresses, ports, plain, withPorts) => {
    expect(toeplitz(key, hex(addresses))).toBe(plain);
    expect(toeplitz(key, hex(addresses + ports))).toBe(withPorts);
  });

  it('are taken over what was asked for', () => {
    const data = packet();
    expect([hashFrame(data, key, 1)?.type, hashFrame(data, key, 3)?.type, hashFrame(data, key, 12)]).toEqual([
      1,
      2,
      undefined,
    ]);
    expect(hashFrame(packet({ version: 6, protocol: 'udp' }), key, 12)?.type).toBe(4);
    expect(hashFrame(data, key, 3)?.value).toBe(toeplitz(key, hex('0a000001 0a000002 9c40 0050')));
  });
});
