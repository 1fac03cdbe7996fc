import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debianPieces } from '@xenolith-tooling/debian';
import { describe, expect, it } from 'vitest';
import type { Measured } from '../src/devices/comparison.mjs';
import { comparisonTable } from '../src/devices/comparison.mjs';
import { ioGuests } from '../src/devices/guests.mjs';
import { measureBackends, measureEvents, measureHellos } from '../src/devices/ours-alone.mjs';

/** Each line has a value above 0 of each round. What the values are is not for a test. */
function complete(lines: readonly Measured[], rounds: number): void {
  for (const { what, ours } of lines)
    expect([what, ours.filter((value) => value > 0).length]).toEqual([what, rounds]);
}

describe('the benchmark of devices runs, in small', () => {
  it('backends', async () => {
    const lines = await measureBackends({ rounds: 1, requests: 640 });
    expect(lines).toHaveLength(9);
    complete(lines, 1);
  });

  it('events', async () => {
    const lines = await measureEvents({ rounds: 2, trips: 100 });
    expect(lines).toHaveLength(2);
    complete(lines, 2);
  });

  it('hello guests', async () => {
    const lines = await measureHellos({ rounds: 1, counts: [1, 3] });
    expect(lines).toHaveLength(8);
    complete(lines, 1);
  });

  const { pieces, reason } = debianPieces();
  it.skipIf(pieces === undefined)(`what Debian guests run (${reason ?? 'found'})`, () => {
    const directory = mkdtempSync(join(tmpdir(), 'xenolith-bench-'));
    try {
      const { guests, reason: missing } = ioGuests(directory);
      expect(missing).toBeUndefined();
      expect(Object.values(guests ?? {}).filter((file) => existsSync(file))).toHaveLength(4);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

it('a ratio above 1 is to our credit, whichever way the values go', () => {
  const table = comparisonTable([
    { what: 'speed', unit: 'MB/s', ours: [50, 100, 150], peer: [50] },
    { what: 'time', unit: 'ms', ours: [1], peer: [4], lessIsBetter: true },
    { what: 'alone', unit: '1/s', ours: [7] },
  ]);
  expect(table.split('\n').map((line) => line.split(/ {2,}/).at(-1))).toEqual([
    "xenolith's speed",
    '2.0 x',
    '4.0 x',
    '-',
  ]);
});
