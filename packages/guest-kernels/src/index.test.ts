import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import * as kernels from './index.js';

const images: [string, Uint8Array][] = [
  ['hello', kernels.helloKernel],
  ['demo', kernels.demoKernel],
  ['events', kernels.eventsKernel],
  ['fault', kernels.faultKernel],
  ['bench', kernels.benchKernel],
  ['fuzz', kernels.fuzzKernel],
  ['grants', kernels.grantsKernel],
  ['xenstore', kernels.xenstoreKernel],
  ['neighbour', kernels.neighbourKernel],
  ['pingpong', kernels.pingpongKernel],
  ['smp', kernels.smpKernel],
  ['tables', kernels.tablesKernel],
  ['net', kernels.netKernel],
  ['blk', kernels.blkKernel],
];

describe('guest kernels', () => {
  it.each(images)('%s: the embedded image is the file', (name, bytes) => {
    const file = readFileSync(new URL(`../images/${name}.elf`, import.meta.url));
    expect(Buffer.compare(file, bytes)).toBe(0);
  });

  it.each(images)('%s: a 64-bit ELF with an entry at VIRT_BASE', (_name, bytes) => {
    const view = new DataView(bytes.buffer);
    expect([view.getUint32(0), bytes[4], view.getUint16(18, true)]).toEqual([0x7f454c46, 2, 62]);
    expect(view.getBigUint64(24, true)).toBe(0xffff_ffff_8000_0000n);
  });

  it('images match their sources, where the pinned compiler is', { timeout: 60_000 }, () => {
    const build = fileURLToPath(new URL('../build.mjs', import.meta.url));
    expect(execFileSync(process.execPath, [build, '--check'], { encoding: 'utf8' })).toMatch(
      /match their sources|skipped/,
    );
  });
});
