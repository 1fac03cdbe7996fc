import type { DomainInfo, DomainResult } from '@xenolith/host';
import { describe, expect, it } from 'vitest';
import { networkListText } from '../commands/network.js';
import type { VifInfo } from '../control/vif-info.js';
import { ExitStatus, statusOf, worstOf } from '../exit-status.js';
import { listText } from '../list-text.js';
import { RecentOutput } from './guest-console.js';

const info: DomainInfo = {
  domid: 1,
  name: 'web',
  uuid: 'u',
  memoryKiB: 524_288,
  vcpus: 2,
  running: true,
  blocked: false,
  paused: false,
  shutdown: undefined,
  dying: false,
  cpuTimeNs: 12_345_678_901,
};

it('the list is that of xl', () => {
  const rows: DomainInfo[] = [
    info,
    { ...info, domid: 2, name: 'db', running: false, blocked: true, paused: true, cpuTimeNs: 0 },
    { ...info, domid: 3, running: false, shutdown: 'crash' },
    { ...info, domid: 4, name: undefined, memoryKiB: 4, running: false, shutdown: 'poweroff', dying: true },
  ];
  expect(listText(rows)).toBe(
    [
      'Name                                        ID   Mem VCPUs\tState\tTime(s)',
      'web                                          1   512     2     r-----      12.3',
      'db                                           2   512     2     -bp---       0.0',
      'web                                          3   512     2     ---sc-      12.3',
      '(null)                                       4     0     2     ---s-d      12.3',
    ].join('\n'),
  );
});

it('the list of network interfaces is that of xl', () => {
  const backend = '/local/domain/0/backend/vif/1/0';
  const vif: VifInfo = {
    ...{ id: 0, backendId: 0, mac: '00:16:3e:00:00:01', state: 4, eventChannel: 12 },
    ...{ txRingRef: 8, rxRingRef: 768, backend },
  };
  const later = { ...vif, id: 10, state: 1, eventChannel: -1, txRingRef: -1, rxRingRef: -1 };
  expect(networkListText([vif, later])).toBe(
    [
      'Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path',
      '0   0  00:16:3e:00:00:01     0     4     12     8/768         /local/domain/0/backend/vif/1/0',
      '10  0  00:16:3e:00:00:01    10     1     -1    -1/-1          /local/domain/0/backend/vif/1/0',
    ].join('\n'),
  );
});

describe('the exit status of several guests', () => {
  const of = (...reasons: DomainResult['reason'][]) =>
    worstOf(reasons.map((reason) => statusOf({ reason, code: 0, restarts: 0 })));

  it('is that of the worst', () => {
    expect(of('poweroff', 'destroyed')).toBe(0);
    expect(of('poweroff', 'reboot')).toBe(ExitStatus.rebooted);
    expect(of('reboot', 'suspend')).toBe(ExitStatus.suspended);
    expect(of('reboot', 'watchdog', 'poweroff')).toBe(ExitStatus.crashed);
    expect(worstOf([ExitStatus.left, ExitStatus.timeout])).toBe(ExitStatus.timeout);
    expect(worstOf([ExitStatus.crashed, ExitStatus.timeout])).toBe(ExitStatus.crashed);
    expect(worstOf([])).toBe(0);
  });
});

describe('the recent output of a console', () => {
  const recent = (...chunks: string[]) => {
    const output = new RecentOutput();
    for (const chunk of chunks) output.add(new TextEncoder().encode(chunk));
    return new TextDecoder().decode(output.bytes);
  };

  it('is all of it while it is short', () => {
    expect(recent()).toBe('');
    expect(recent('a', 'b\nc')).toBe('ab\nc');
  });

  it('is its end, from the beginning of a line on', () => {
    const line = `${'x'.repeat(98)}\n`;
    const text = recent(...Array.from({ length: 10_000 }, (_, i) => String(i % 10) + line));
    expect(text.length).toBeLessThanOrEqual(64 * 1024);
    expect(text.length).toBeGreaterThan(63 * 1024);
    expect(text).toMatch(/^(\dx{98}\n)+$/);
    expect(text.at(-100)).toBe('9');
  });
});
