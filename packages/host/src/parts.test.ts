import { BadInputError, noTrace, type TraceEvent } from '@xenolith/host-interface';
import { describe, expect, it } from 'vitest';
import { webEventLoop } from './event-loop.js';
import { fixedInputs, systemInputs } from './inputs.js';
import { shutdownReason } from './result.js';
import { Statistics } from './statistics.js';
import { formatUuid, parseUuid, randomUuid } from './uuid.js';

describe('inputs', () => {
  const random = (seed?: number) => {
    const bytes = new Uint8Array(64);
    fixedInputs(seed === undefined ? {} : { seed }).randomFill(bytes);
    return bytes;
  };

  it('that are fixed give the same in every run', () => {
    expect(random()).toEqual(random());
    expect(random(2)).not.toEqual(random(3));
    expect(new Set(random()).size).toBeGreaterThan(40);
    expect(fixedInputs().wallclockNs()).toBe(BigInt(Date.parse('2025-01-01')) * 1_000_000n);
  });

  it('of the machine are whole nanoseconds that do not go back', () => {
    const inputs = systemInputs();
    const first = inputs.monotonicNs();
    expect(Number.isInteger(first)).toBe(true);
    expect(inputs.monotonicNs()).toBeGreaterThanOrEqual(first);
    expect(Number(inputs.wallclockNs() / 1_000_000n)).toBeCloseTo(Date.now(), -4);
    const bytes = new Uint8Array(200_000);
    inputs.randomFill(bytes);
    expect(bytes.subarray(-64).some((byte) => byte !== 0)).toBe(true);
  });
});

describe('UUIDs', () => {
  it('are random, of version 4', () => {
    const text = formatUuid(randomUuid(fixedInputs()));
    expect(text).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(formatUuid(parseUuid(text))).toBe(text);
  });

  it('are checked', () => {
    expect(() => parseUuid('0123')).toThrow(BadInputError);
  });
});

it('names the reasons of a shutdown', () => {
  expect([0, 1, 2, 3, 4, 5, 77].map(shutdownReason)).toEqual([
    'poweroff',
    'reboot',
    'suspend',
    'crash',
    'watchdog',
    'soft-reset',
    'unknown',
  ]);
});

describe('statistics', () => {
  it('count hypercalls, and pass on what somebody wants', () => {
    const seen: TraceEvent[] = [];
    const statistics = new Statistics({ wants: (cls) => cls === 'trap', emit: (event) => seen.push(event) });
    const event = { class: 'hypercall', domid: 1, vcpu: 0, name: 'sched_op' } as const;
    statistics.emit(event);
    statistics.emit({ ...event, name: 'multicall: sched_op' });
    statistics.emit({ ...event, class: 'trap', name: '#PF' });
    expect([...statistics.hypercalls]).toEqual([['sched_op', 2]]);
    expect(seen.map(({ name }) => name)).toEqual(['#PF']);
    expect(statistics.wants('hypercall')).toBe(true);
    expect(new Statistics(noTrace).wants('trap')).toBe(false);
  });
});

describe('the event loop for browsers', () => {
  it('lets others have their turn', async () => {
    const loop = webEventLoop();
    let other = false;
    setTimeout(() => {
      other = true;
    });
    for (let i = 0; i < 1000 && !other; i++) await loop.turn();
    expect(other).toBe(true);
  });

  it('keeps time, and forgets what is cancelled', async () => {
    const loop = webEventLoop();
    const cancel = loop.after(1, () => expect.unreachable());
    cancel();
    await new Promise<void>((resolve) => loop.after(20, resolve));
  });
});
