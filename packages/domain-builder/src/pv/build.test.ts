import { BadInputError } from '@xenolith/host-interface';
import { StartInfo } from '@xenolith/xen-abi';
import fc from 'fast-check';
import { gzipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { linuxLikeElf, linuxNotes, u64, VIRT_BASE } from '../../test/images.js';
import { walk } from '../../test/walk.js';
import { type BuildOptions, type BuiltDomain, buildPvDomain } from './build.js';
import { ArrayTarget } from './build-target.js';
import { parsePvKernel } from './kernel.js';
import { layoutPvDomain } from './layout.js';

const MIB = 256;
const FIRST_MFN = 0x12345;
const linux = parsePvKernel(linuxLikeElf());
/** The same without INIT_P2M and MOD_START_PFN: everything is in the initial mapping. */
const old = parsePvKernel(linuxLikeElf({ notes: linuxNotes({ 15: undefined, 16: undefined }) }));
const atZero = parsePvKernel(
  linuxLikeElf({ notes: linuxNotes({ 1: u64(0x100000n), 3: u64(0n), 15: undefined, 2: u64(0x102000n) }) }),
);

function build(
  pages: number,
  options: Partial<BuildOptions> = {},
): { target: ArrayTarget; built: BuiltDomain } {
  const target = new ArrayTarget(pages, FIRST_MFN);
  // What was in memory before must not shine through.
  target.bytes.fill(0xcc);
  const built = buildPvDomain(target, {
    kernel: linux,
    sharedInfoMfn: 0x77,
    storeEvtchn: 1,
    consoleEvtchn: 2,
    ...options,
  });
  return { target, built };
}

const startInfo = (target: ArrayTarget, built: BuiltDomain) =>
  StartInfo.at(new DataView(target.bytes.buffer), built.startInfoPfn * 4096);

describe('buildPvDomain', () => {
  const kernels = fc.constantFrom(linux, old, atZero);

  it('maps exactly what it says, with page tables read-only', () => {
    fc.assert(
      fc.property(
        kernels,
        fc.integer({ min: 8 * MIB, max: 40 * MIB }),
        fc.nat(5000),
        (kernel, pages, ramdisk) => {
          const { target, built } = build(pages, { kernel, ramdisk: new Uint8Array(ramdisk + 1).fill(0x5a) });
          const { layout } = built;
          const found = walk(target, built.l4Mfn);
          expect(new Map(built.pageTables.map((t) => [t.pfn, t.level]))).toEqual(found.tables);

          const expected = new Map<bigint, number>();
          const first = layout.mappings[0]!;
          for (let pfn = 0; pfn < (first.to + 1 - first.from) / 4096; pfn++) {
            expected.set(kernel.virtBase + BigInt(pfn) * 4096n, pfn);
          }
          if (kernel.p2mBase !== undefined) {
            for (let i = 0; i < layout.p2m.listPages; i++)
              expected.set(kernel.p2mBase + BigInt(i) * 4096n, layout.p2m.pfn + i);
          }
          expect(new Map(found.pages.map((p) => [p.virtual, p.pfn]))).toEqual(expected);
          for (const { pfn, flags } of found.pages) expect(flags).toBe(found.tables.has(pfn) ? 0x21 : 0x23);
          expect(layout.end).toBeLessThanOrEqual(pages);
        },
      ),
      { numRuns: 25, seed: 3 },
    );
  });

  it('regions do not overlap, and the slack is free', () => {
    for (const kernel of [linux, old, atZero]) {
      const layout = layoutPvDomain(kernel, 64 * MIB, 123_456);
      const sorted = [...layout.regions].sort((a, b) => a.pfn - b.pfn);
      for (const [i, region] of sorted.entries()) {
        const next = sorted[i + 1];
        if (next !== undefined) expect(region.pfn + region.pages).toBeLessThanOrEqual(next.pfn);
      }
      const mapped = Number((layout.mappedEnd - kernel.virtBase) / 4096n);
      expect(layout.mappedEnd % (4n << 20n)).toBe(0n);
      expect(mapped - (layout.bootStack.pfn + 1)).toBeGreaterThanOrEqual(128);
    }
  });

  it('loads segments, clears the rest and writes the p2m', () => {
    const { target, built } = build(32 * MIB);
    expect(target.pageBytes(0x100).every((b) => b === 0x90)).toBe(true);
    expect(
      target
        .pageBytes(0x101)
        .subarray(0, 100)
        .every((b) => b === 0xda),
    ).toBe(true);
    expect(
      target
        .pageBytes(0x101)
        .subarray(100)
        .every((b) => b === 0),
    ).toBe(true);
    expect(target.pageBytes(0x102).every((b) => b === 0)).toBe(true);
    for (const pfn of [built.storePfn, built.consolePfn, built.layout.bootStack.pfn]) {
      expect(target.pageBytes(pfn).every((b) => b === 0)).toBe(true);
    }
    const list = new BigUint64Array(target.bytes.buffer, built.layout.p2m.pfn * 4096, target.pages);
    expect(list.every((mfn, pfn) => mfn === BigInt(pfn + FIRST_MFN))).toBe(true);
  });

  it('writes start_info for a kernel with INIT_P2M and MOD_START_PFN', () => {
    const cmdline = 'console=hvc0 name=ü';
    const { target, built } = build(32 * MIB, { cmdline, ramdisk: new Uint8Array(5000).fill(7) });
    const { layout } = built;
    const info = startInfo(target, built);
    expect(info.magic).toBe('xen-3.0-x86_64');
    expect(info.nr_pages).toBe(BigInt(32 * MIB));
    expect(info.shared_info).toBe(0x77000n);
    expect(info.flags).toBe(8);
    expect(info.store_mfn).toBe(BigInt(layout.xenstore.pfn + FIRST_MFN));
    expect(info.store_evtchn).toBe(1);
    expect(info.console.domU.mfn).toBe(BigInt(layout.console.pfn + FIRST_MFN));
    expect(info.console.domU.evtchn).toBe(2);
    expect(info.pt_base).toBe(VIRT_BASE + BigInt(built.l4Pfn) * 4096n);
    // 4 MiB from VIRT_BASE on: one table each of levels 4, 3, 2, and two of level 1.
    expect(info.nr_pt_frames).toBe(5n);
    expect(info.mfn_list).toBe(0x8000000000n);
    expect(info.mod_start).toBe(BigInt(layout.ramdisk!.pfn));
    expect(info.mod_len).toBe(8192n);
    expect(info.first_p2m_pfn).toBe(BigInt(layout.p2m.pfn));
    // 16 pages of list, and a table each of levels 3, 2 and 1.
    expect(info.nr_p2m_frames).toBe(19n);
    expect(layout.ramdisk!.virtual).toBeUndefined();
    const bytes = target.pageBytes(built.startInfoPfn).subarray(StartInfo.offset.cmd_line);
    expect(new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)))).toBe(cmdline);
    const module = target.bytes.subarray(layout.ramdisk!.pfn * 4096, layout.ramdisk!.pfn * 4096 + 8192);
    expect(module.indexOf(0)).toBe(5000);
    expect(built).toMatchObject({
      entry: VIRT_BASE + 0x100040n,
      startInfo: VIRT_BASE + BigInt(built.startInfoPfn) * 4096n,
      stackPointer: VIRT_BASE + BigInt(layout.bootStack.pfn + 1) * 4096n,
      virtBase: VIRT_BASE,
    });
    expect(built.hypercallPage).toBeUndefined();
  });

  it('writes start_info for a kernel without them', () => {
    const { target, built } = build(32 * MIB, { kernel: old, ramdisk: new Uint8Array(5000), flags: 0x10 });
    const info = startInfo(target, built);
    expect(info.flags).toBe(0x10);
    expect(info.mod_start).toBe(VIRT_BASE + 0x103000n);
    expect(info.mod_len).toBe(5000n);
    expect(info.mfn_list).toBe(VIRT_BASE + 0x105000n);
    expect([info.first_p2m_pfn, info.nr_p2m_frames]).toEqual([0n, 0n]);
  });

  it('tells the page for hypercall stubs', () => {
    expect(build(16 * MIB, { kernel: atZero }).built.hypercallPage).toEqual({
      virtual: 0x102000n,
      pfn: 0x102,
    });
  });

  it('unpacks a ramdisk in a gzip file, and passes a damaged one as it is', () => {
    const contents = new Uint8Array(100_000).map((_, i) => i >> 8);
    const packed = gzipSync(contents);
    const { target, built } = build(32 * MIB, { ramdisk: packed });
    const { pfn, bytes } = built.layout.ramdisk!;
    expect(bytes).toBe(25 * 4096);
    expect(Buffer.compare(target.bytes.subarray(pfn * 4096, pfn * 4096 + 100_000), contents)).toBe(0);

    packed[30]! ^= 0x55;
    const damaged = build(32 * MIB, { ramdisk: packed });
    const at = damaged.built.layout.ramdisk!.pfn * 4096;
    expect(Buffer.compare(damaged.target.bytes.subarray(at, at + packed.length), packed)).toBe(0);
  });
});

describe('what does not fit', () => {
  it('says how much memory is needed, and that much is enough', () => {
    expect(() => build(2 * MIB)).toThrow(BadInputError);
    expect(() => build(2 * MIB)).toThrow('with this kernel it needs at least 5 MiB to start, but has 2 MiB');
    expect(build(5 * MIB).built.layout.end).toBeLessThanOrEqual(5 * MIB);
  });

  it('names the ramdisk if that is what does not fit', () => {
    const options = { ramdisk: new Uint8Array(20 << 20) };
    expect(() => build(16 * MIB, options)).toThrow(
      'The ramdisk does not fit: with its 20 MiB (as unpacked) the domain needs at least 25 MiB to start, but has 16 MiB.',
    );
    build(25 * MIB, options);
    // A gzip file that claims to be large is believed, and not unpacked.
    const claims = new Uint8Array([...gzipSync(new Uint8Array(100)).subarray(0, -4), 0, 0, 0, 0x3f]);
    expect(() => build(16 * MIB, { ramdisk: claims })).toThrow('with its 1009 MiB');
    expect(() => build(16 * MIB, { ramdisk: new Uint8Array() })).toThrow('The ramdisk is empty.');
  });

  it('writes nothing if it fails', () => {
    const target = new ArrayTarget(2 * MIB);
    const options = { kernel: linux, sharedInfoMfn: 1, storeEvtchn: 1, consoleEvtchn: 2 };
    expect(() => buildPvDomain(target, options)).toThrow(BadInputError);
    expect(target.bytes.every((b) => b === 0)).toBe(true);
  });

  it.each([
    ['x'.repeat(1024), 'has 1024 bytes: Xen passes at most 1023'],
    ['a\0b', 'has a NUL character'],
  ])('refuses a command line %#', (cmdline, message) => {
    expect(() => build(16 * MIB, { cmdline })).toThrow(message);
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 40])('refuses a domain of %d pages', (pages) => {
    expect(() => layoutPvDomain(linux, pages)).toThrow(BadInputError);
  });

  it.each([
    [{ 1: u64(0xffff800000100000n), 3: u64(0xffff800000000000n) }, 'VIRT_BASE 0xffff800000000000'],
    [{ 1: u64(0x800000100000n), 3: u64(0x800000000000n) }, 'VIRT_BASE 0x800000000000'],
    [{ 1: u64(0x7ffffff80000n), 3: u64(0x7fffffe80000n) }, 'VIRT_BASE 0x7fffffe80000'],
    [
      { 1: u64(0xfffffffffff80000n), 3: u64(0xffffffffffe80000n), 15: undefined },
      'VIRT_BASE 0xffffffffffe80000',
    ],
    [{ 15: u64(0x800000000000n) }, 'INIT_P2M 0x800000000000'],
    [{ 2: u64(0xffffffffc0000000n) }, 'HYPERCALL_PAGE 0xffffffffc0000000 lies beyond its initial mapping'],
    [{ 15: u64(0x200000n), 3: u64(0x201000n), 1: u64(0x301000n), 2: undefined }, undefined],
  ])('addresses that Xen does not allow %#', (change, message) => {
    const kernel = parsePvKernel(linuxLikeElf({ notes: linuxNotes(change) }));
    if (message === undefined) {
      // The p2m right below the kernel: allowed while it is small, overlapping when it grows.
      expect(layoutPvDomain(kernel, 512).mappings).toHaveLength(2);
      expect(() => layoutPvDomain(kernel, 64 * MIB)).toThrow('overlapping mappings');
    } else {
      expect(() => layoutPvDomain(kernel, 64 * MIB)).toThrow(BadInputError);
      expect(() => layoutPvDomain(kernel, 64 * MIB)).toThrow(message);
    }
  });
});
