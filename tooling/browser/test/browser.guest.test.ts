import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumMissing, startChromium } from '../src/chromium.js';
import { type DiskRun, WRITTEN } from '../src/disks.js';
import { startRelay } from '../src/relay.js';
import { buildSite, serve } from '../src/site.js';
import { runSystems } from '../src/systems.js';
import type { Report } from '../src/worker.js';

const where = `in Chromium${chromiumMissing ? `: skipped, ${chromiumMissing}` : ''}`;

/** A disk with something of everything: what can be compressed, what cannot, and nothing. */
const image = new Uint8Array(3 * 2 ** 20 + 512);
for (let i = 0; i < 700_000; i++) {
  image[i] = Math.imul(i, 2654435761) >>> 24;
  image[2_000_000 + i] = i % 13;
}

/** The same as a compressed qcow2 image; undefined without qemu-img. In CI it must be there. */
function asQcow2(): Uint8Array | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'browser-'));
  try {
    const [raw, qcow2] = [join(directory, 'raw'), join(directory, 'qcow2')];
    writeFileSync(raw, image);
    execFileSync('qemu-img', ['convert', '-c', '-f', 'raw', '-O', 'qcow2', raw, qcow2]);
    return readFileSync(qcow2);
  } catch (error) {
    if (process.env.CI === 'true') throw error;
    return undefined;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
const qcow2 = asQcow2();
const qcow2Missing = qcow2 ? '' : ': skipped, qemu-img is not here (Debian: apt install qemu-utils)';

describe.skipIf(chromiumMissing)(where, () => {
  let report: Report;
  let ranges: string[];
  let relayed: Uint8Array[];
  const problems: string[] = [];

  beforeAll(async () => {
    const files = await buildSite();
    files.set('/disk.img', image);
    if (qcow2) files.set('/disk.qcow2', qcow2);
    const images = { raw: '/disk.img', ...(qcow2 && { qcow2: '/disk.qcow2' }) };
    files.set('/images.json', new TextEncoder().encode(JSON.stringify(images)));
    const relay = await startRelay();
    relayed = relay.frames;
    files.set('/relay.json', new TextEncoder().encode(JSON.stringify(relay.url)));
    const site = await serve(files);
    ranges = site.ranges;
    const browser = await startChromium();
    try {
      const page = await browser.newPage();
      page.on('console', (message) => problems.push(message.text()));
      page.on('pageerror', (error) => problems.push(error.message));
      await page.goto(site.url);
      const found = await page.waitForFunction(() => (globalThis as { report?: Report }).report, undefined, {
        timeout: 120_000,
      });
      report = (await found.jsonValue())!;
    } finally {
      await browser.close();
      site.close();
      relay.close();
    }
  });
  afterAll(() =>
    expect(problems.filter((text) => !text.includes('favicon') && !text.includes('404'))).toEqual([]),
  );

  it('runs in a module worker that got no special headers', () => {
    expect(report.error).toBeUndefined();
    expect([report.isWorker, report.crossOriginIsolated]).toEqual([true, false]);
  });

  it('hello prints its line and powers off', () => {
    const hello = report.runs?.find(({ name }) => name === 'hello');
    expect(hello?.domains).toEqual([
      {
        cmdline: '',
        output: 'Hello from a Xen guest.\r\n',
        result: { reason: 'poweroff', code: 0, restarts: 0 },
      },
    ]);
  });

  it.each([1, 2])('two domains exchange pages by grants of version %i', (version) => {
    const [granter, mapper] =
      report.runs?.find(({ name }) => name === `grants of version ${version}`)?.domains ?? [];
    for (const domain of [granter, mapper]) {
      expect(domain?.output).toMatch(/grants: ok\r\n$/);
      expect(domain?.result).toMatchObject({ reason: 'poweroff', restarts: 0 });
    }
    expect(granter?.output).toContain('written: the mapper was here');
    expect(granter?.output).toContain("given: a page of the mapper's");
    expect(mapper?.output).toContain('read: for you to write to');
    expect(mapper?.output.includes('copied: a part of a page')).toBe(version === 2);
  });

  const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
  const expected = (): DiskRun => {
    const after = image.slice();
    after.set(WRITTEN.bytes, WRITTEN.offset);
    return { size: image.length, before: sha(image), after: sha(after) };
  };

  it('a guest reads a disk behind HTTP, piece by piece and each piece once, and writes above it', () => {
    expect(report.disks?.raw).toEqual(expected());
    const pieces = ranges.filter((range) => range.startsWith('/disk.img ') && range !== '/disk.img 0-0');
    expect(pieces.length).toBe(Math.ceil(image.length / 65536));
    expect(new Set(pieces).size).toBe(pieces.length);
  });

  it.skipIf(!qcow2)(`the same with a compressed qcow2 image${qcow2Missing}`, () => {
    expect(report.disks?.qcow2).toEqual(expected());
    const fetched = ranges.filter((range) => range.startsWith('/disk.qcow2 '));
    expect(new Set(fetched).size).toBe(fetched.length);
  });

  it('guests ping each other through a relay for raw frames, over WebSocket', () => {
    expect(report.pings).toEqual([true, true]);
    // ARP, an echo of either size, and the answers.
    expect(relayed.map(({ length }) => length)).toEqual([60, 60, 98, 98, 1514, 1514]);
  });

  it('does the same as in Node, instruction for instruction', async () => {
    expect(report.runs).toEqual(await runSystems());
  });
});
