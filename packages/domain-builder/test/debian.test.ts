import { readFileSync } from 'node:fs';
import { debianPieces } from '@xenolith-tooling/debian';
import { describe, expect, it } from 'vitest';
import {
  ArrayTarget,
  buildPvDomain,
  formatKernelReport,
  inspectKernel,
  parsePvKernel,
  unpackKernel,
} from '../src/index.js';
import { walk } from './walk.js';

const { pieces, reason } = debianPieces();
const read = (path: string): Uint8Array => new Uint8Array(readFileSync(path));

describe.skipIf(pieces === undefined)(`Debian's kernels (${reason ?? 'found'})`, () => {
  it('amd64: xz with the x86 filter; laid out as on real Xen', { timeout: 60_000 }, () => {
    const { image, compression, container } = unpackKernel(read(pieces!.vmlinuz));
    expect([container, compression]).toEqual(['bzImage', 'xz']);
    const kernel = parsePvKernel(image);
    expect(kernel.notes).toMatchObject({
      virtBase: 0xffffffff80000000n,
      initP2m: 0x8000000000n,
      modStartPfn: true,
      features: '!writable_page_tables|pae_pgdir_above_4gb',
      supportedFeatures: 0x8801,
    });
    expect(kernel.notes.hypercallPage).toBeUndefined();

    const target = new ArrayTarget(512 * 256, 0x1000);
    const options = {
      kernel,
      ramdisk: read(pieces!.initrd),
      sharedInfoMfn: 1,
      storeEvtchn: 1,
      consoleEvtchn: 2,
    };
    buildPvDomain(target, options);
    const start = performance.now();
    const built = buildPvDomain(target, options);
    // Generous, for loaded machines: it takes some 30 ms.
    expect(performance.now() - start).toBeLessThan(1500);
    const { layout } = built;
    // The kernel ends below 128 MiB, and the ramdisk follows the 4 MiB-aligned end of the initial mapping.
    expect(layout.ramdisk!.pfn % 1024).toBe(0);
    expect(layout.ramdisk!.pfn).toBe(Number((layout.mappedEnd - kernel.virtBase) / 4096n));
    expect(layout.p2m).toMatchObject({ virtual: 0x8000000000n, listPages: 256, pages: 259 });
    const found = walk(target, built.l4Mfn);
    expect(found.pages).toHaveLength(layout.ramdisk!.pfn + 256);
    expect(found.tables.size).toBe(built.pageTables.length);
  });

  it('cloud: lz4 legacy frame', () => {
    const report = inspectKernel(read(pieces!.cloudVmlinuz));
    expect(report.file).toMatchObject({ container: 'bzImage', compression: 'lz4' });
    expect(report.problem).toBeUndefined();
    expect(formatKernelReport(report)).toContain('packed with lz4');
  });

  it("GRUB's Xen image: VIRT_BASE 0", () => {
    const kernel = parsePvKernel(read(pieces!.grub));
    expect(kernel).toMatchObject({ virtBase: 0n, entry: 0n });
    const target = new ArrayTarget(64 * 256);
    const built = buildPvDomain(target, { kernel, sharedInfoMfn: 1, storeEvtchn: 1, consoleEvtchn: 2 });
    expect(walk(target, built.l4Mfn).pages[0]).toMatchObject({ virtual: 0n, pfn: 0 });
  });
});
