import * as abi from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import * as codec from '../codec/index.js';
import { isIntact, writeBlank } from '../frame/checksum.js';
import { findHeaders } from '../frame/headers.js';
import { packet } from '../frame/testing.js';
import { rawFrontend } from '../testing/raw-frontend.js';

const { NETIF_RSP_OKAY: OKAY, NETIF_RSP_NULL: NULL } = abi;

describe('offloads', () => {
  it('with what it left undone', async () => {
    const { sent, queue } = await rawFrontend();
    const data = packet({ payload: 3000 });
    await queue.transmit(...queue.slotsOf(data, abi.NETTXF_csum_blank | abi.NETTXF_data_validated));
    await queue.transmit(...queue.slotsOf(data, abi.NETTXF_data_validated));
    const gso = { kind: 'gso' as const, size: 1448, type: abi.XEN_NETIF_GSO_TYPE_TCPV4 };
    expect(await queue.transmit(...queue.slotsOf(data, abi.NETTXF_csum_blank, [gso]))).toEqual([OKAY, NULL]);
    expect(sent).toEqual([
      { data, checksum: 'blank' },
      { data, checksum: 'validated' },
      { data, checksum: 'blank', segmentation: { protocol: 'tcp4', size: 1448 } },
    ]);
  });

  const tcp4 = packet({ payload: 8000 });
  const tcp6 = packet({ version: 6, payload: 8000 });
  it('large frames, with their segments’ size, where it can take them', async () => {
    const { arrive, queue } = await rawFrontend();
    await queue.offer(10);
    arrive({ data: tcp6, checksum: 'blank', segmentation: { protocol: 'tcp6', size: 1428 } });
    const slots = queue.received().map(({ slot }) => slot);
    const { NETRXF_csum_blank, NETRXF_data_validated, NETRXF_extra_info, NETRXF_more_data } = abi;
    expect(codec.decodeRxResponse(slots[0]!)).toEqual({
      id: 0,
      offset: 0,
      status: 4096,
      flags: NETRXF_csum_blank | NETRXF_data_validated | NETRXF_extra_info | NETRXF_more_data,
    });
    expect(codec.decodeExtra(slots[1]!)).toEqual({
      extra: { kind: 'gso', size: 1428, type: 2 },
      more: false,
    });
    expect(codec.decodeRxResponse(slots[2]!)).toEqual({
      id: 2,
      offset: 0,
      status: tcp6.length - 4096,
      flags: 0,
    });
  });

  it('a checksum that is known to be right is told so', async () => {
    const { arrive, queue } = await rawFrontend();
    await queue.offer(2);
    const data = packet();
    arrive({ data, checksum: 'validated' });
    arrive({ data });
    expect(queue.frames()).toEqual([
      { data, flags: abi.NETRXF_data_validated },
      { data, flags: 0 },
    ]);
  });

  it.each([
    ['cut and summed up', { 'feature-no-csum-offload': 1 }, abi.NETRXF_data_validated],
    ['cut, the checksum blank', {}, abi.NETRXF_data_validated | abi.NETRXF_csum_blank],
  ])('%s, where it cannot', async (_, nodes, flags) => {
    const { arrive, queue } = await rawFrontend({
      nodes: { 'request-rx-copy': 1, 'feature-rx-notify': 1, 'feature-sg': 1, ...nodes },
    });
    await queue.offer(20);
    arrive({ data: tcp4, checksum: 'blank', segmentation: { protocol: 'tcp4', size: 1448 } });
    const got = queue.frames();
    expect(got.map((frame) => [frame.flags, frame.data.length])).toEqual([
      ...new Array(5).fill([flags, 66 + 1448]),
      [flags, 66 + 760],
    ]);
    expect(got.every(({ data }) => isIntact(data))).toBe((flags & abi.NETRXF_csum_blank) === 0);
  });

  it.each([
    [4, { 'feature-no-csum-offload': 1 }, true],
    [4, {}, false],
    [6, {}, true],
    [6, { 'feature-ipv6-csum-offload': 1 }, false],
  ] as const)('the checksum of IPv%i computed with %j: %j', async (version, nodes, isComputed) => {
    const { arrive, queue } = await rawFrontend({
      nodes: { 'request-rx-copy': 1, 'feature-rx-notify': 1, ...nodes },
    });
    await queue.offer(4);
    const data = packet({ version });
    writeBlank(data, findHeaders(data)!);
    arrive({ data, checksum: 'blank' });
    const [got] = queue.frames();
    expect([isIntact(got!.data), (got!.flags & abi.NETRXF_csum_blank) === 0]).toEqual([
      isComputed,
      isComputed,
    ]);
  });
});
