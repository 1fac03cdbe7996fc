import {
  NETTXF_extra_info,
  NETTXF_more_data,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_NR_SLOTS_MIN,
} from '@xenolith/xen-abi';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BrokenChain,
  CONTROL_SLOT_SIZE,
  decodeControlRequest,
  decodeControlResponse,
  decodeExtra,
  decodeRxRequest,
  decodeRxResponse,
  decodeTxRequest,
  decodeTxResponse,
  type ExtraInfo,
  encodeControlRequest,
  encodeControlResponse,
  encodeExtra,
  encodeRxRequest,
  encodeRxResponse,
  encodeTxRequest,
  encodeTxResponse,
  piecesOf,
  RX_SLOT_SIZE,
  TX_SLOT_SIZE,
  type TxRequest,
  takePacket,
} from './index.js';

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const status = fc.integer({ min: -2, max: 4096 });
const byte = fc.integer({ min: 0, max: 255 });
const extra: fc.Arbitrary<ExtraInfo> = fc.oneof(
  fc.record({ kind: fc.constant('gso' as const), size: u16, type: byte }),
  fc.record({
    kind: fc.constant('multicast' as const),
    operation: fc.constantFrom('add' as const, 'remove' as const),
    address: fc.uint8Array({ minLength: 6, maxLength: 6 }),
  }),
  fc.record({ kind: fc.constant('hash' as const), type: byte, algorithm: byte, value: u32 }),
);

describe('slots come back as they were put in', () => {
  const round = <T>(
    name: string,
    values: fc.Arbitrary<T>,
    there: (value: T) => Uint8Array,
    back: (slot: Uint8Array) => T,
  ) =>
    it(name, () => {
      fc.assert(
        fc.property(values, (value) => {
          expect(back(there(value))).toEqual(value);
        }),
      );
    });
  round(
    'tx request',
    fc.record({ ref: u32, offset: u16, flags: u16, id: u16, size: u16 }),
    encodeTxRequest,
    decodeTxRequest,
  );
  round('tx response', fc.record({ id: u16, status }), encodeTxResponse, decodeTxResponse);
  round('rx request', fc.record({ id: u16, ref: u32 }), encodeRxRequest, decodeRxRequest);
  round(
    'rx response',
    fc.record({ id: u16, offset: u16, flags: u16, status }),
    encodeRxResponse,
    decodeRxResponse,
  );
  round(
    'control request',
    fc.record({ id: u16, type: u16, data: fc.array(u32, { minLength: 3, maxLength: 3 }) }),
    encodeControlRequest,
    (slot) => {
      const { id, type, data } = decodeControlRequest(slot);
      return { id, type, data: [...data] };
    },
  );
  round(
    'control response',
    fc.record({ id: u16, type: u16, status: u32, data: u32 }),
    encodeControlResponse,
    decodeControlResponse,
  );
  round(
    'extra info',
    fc.record({ extra, more: fc.boolean() }),
    ({ extra, more }) => encodeExtra(extra, more),
    (slot) => decodeExtra(slot) as { extra: ExtraInfo; more: boolean },
  );
});

it('slots have the sizes that netif.h gives them, and the bytes', () => {
  expect([TX_SLOT_SIZE, RX_SLOT_SIZE, CONTROL_SLOT_SIZE]).toEqual([12, 8, 16]);
  expect([
    ...encodeTxRequest({ ref: 0x01020304, offset: 0x0506, flags: 0x0708, id: 0x090a, size: 0x0b0c }),
  ]).toEqual([4, 3, 2, 1, 6, 5, 8, 7, 10, 9, 12, 11]);
  expect([...encodeExtra({ kind: 'gso', size: 1448, type: 1 }, true)]).toEqual([1, 1, 0xa8, 5, 1, 0, 0, 0]);
  expect([...encodeExtra({ kind: 'hash', type: 2, algorithm: 1, value: 0x01020304 }, false)]).toEqual([
    4, 0, 2, 1, 4, 3, 2, 1,
  ]);
});

const request = (over: Partial<TxRequest> = {}): TxRequest => ({
  ref: 8,
  offset: 0,
  flags: 0,
  id: 1,
  size: 100,
  ...over,
});
const gso = { kind: 'gso' as const, size: 1448, type: XEN_NETIF_GSO_TYPE_TCPV4 };

function take(...slots: Uint8Array[]) {
  return takePacket(() => slots.shift());
}

describe('packets', () => {
  it('none in an empty ring', () => expect(take()).toBeUndefined());

  it('of one slot: what follows is another', () => {
    const rest = [encodeTxRequest(request()), encodeTxRequest(request({ id: 2 }))];
    expect(takePacket(() => rest.shift())).toEqual({ requests: [request()], extras: [], extraSlots: 0 });
    expect(rest.length).toBe(1);
  });

  it('of several: the first says the size of all, the others their own', () => {
    const first = request({ size: 9000, flags: NETTXF_more_data | NETTXF_extra_info, offset: 96 });
    const second = request({ size: 4096, flags: NETTXF_more_data, id: 2 });
    const third = request({ size: 904, id: 3 });
    const packet = take(
      encodeTxRequest(first),
      encodeExtra(gso, false),
      encodeTxRequest(second),
      encodeTxRequest(third),
    )!;
    expect(packet).toEqual({ requests: [first, second, third], extras: [gso], extraSlots: 1 });
    expect(piecesOf(packet.requests).map(({ size }) => size)).toEqual([4000, 4096, 904]);
  });

  it.each<[string, Uint8Array[]]>([
    ['13 bytes', [encodeTxRequest(request({ size: 13 }))]],
    [
      'pieces have more',
      [encodeTxRequest(request({ flags: NETTXF_more_data })), encodeTxRequest(request({ size: 101 }))],
    ],
    ['reaches from 4000 to 4100', [encodeTxRequest(request({ offset: 4000 }))]],
    ['reaches from 0 to 4097', [encodeTxRequest(request({ size: 4097 }))]],
    [
      'in 19 slots',
      Array.from({ length: XEN_NETIF_NR_SLOTS_MIN + 1 }, (_, i) =>
        encodeTxRequest(
          request({ size: i ? 1 : 100, flags: i < XEN_NETIF_NR_SLOTS_MIN ? NETTXF_more_data : 0 }),
        ),
      ),
    ],
  ])('are bad, and yet taken whole: %s', (problem, slots) => {
    const rest = [...slots];
    expect(takePacket(() => rest.shift())?.problem).toContain(problem);
    expect(rest).toEqual([]);
  });

  it.each<[string, Uint8Array[]]>([
    ['not whole', [encodeTxRequest(request({ flags: NETTXF_more_data }))]],
    ['not whole', [encodeTxRequest(request({ flags: NETTXF_extra_info }))]],
    [
      'a type that there is not',
      [encodeTxRequest(request({ flags: NETTXF_extra_info })), new Uint8Array(12)],
    ],
    [
      'no end of extra',
      [
        encodeTxRequest(request({ flags: NETTXF_extra_info })),
        ...Array.from({ length: 9 }, () => encodeExtra(gso, true)),
      ],
    ],
  ])('cannot be told apart any more: %s', (problem, slots) => {
    expect(() => take(...slots)).toThrow(BrokenChain);
    expect(() => take(...slots)).toThrow(problem);
  });

  it('property: any slots are packets or a broken chain, and good packets are in their pages', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 12, maxLength: 12 }), { maxLength: 40 }), (slots) => {
        try {
          const packet = take(...slots);
          if (
            !packet ||
            packet.problem !== undefined ||
            packet.extras.some(({ kind }) => kind === 'multicast')
          )
            return;
          const pieces = piecesOf(packet.requests);
          expect(pieces.every(({ offset, size }) => size >= 0 && offset + size <= 4096)).toBe(true);
          expect(pieces.reduce((sum, { size }) => sum + size, 0)).toBe(packet.requests[0]!.size);
        } catch (error) {
          expect(error).toBeInstanceOf(BrokenChain);
        }
      }),
    );
  });
});
