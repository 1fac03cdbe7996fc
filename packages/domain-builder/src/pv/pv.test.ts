import { BadInputError, NotImplementedError } from '@xenolith/host-interface';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  asciz,
  encodeNotes,
  linuxLikeElf,
  linuxNotes,
  makeElf,
  u32,
  u64,
  VIRT_BASE,
} from '../../test/images.js';
import { parseElf } from '../elf/elf.js';
import { checkFeatures, featureNames, parseFeatures } from './features.js';
import { parsePvKernel } from './kernel.js';
import { readPvNotes } from './notes.js';

const withNotes = (change: Parameters<typeof linuxNotes>[0]): Uint8Array =>
  linuxLikeElf({ notes: linuxNotes(change) });

describe('parseElf', () => {
  it.each([
    [{ machine: 183 }, 'is for AArch64 (e_machine 183 at offset 0x12, ELF64): a kernel for x86-64 is needed'],
    [{ machine: 3 }, 'is for i386 (e_machine 3 at offset 0x12, ELF64)'],
    [{ type: 1 }, 'not an executable: e_type at offset 0x10 is 1 (an object file or a kernel module)'],
  ])('refuses %j', (change, message) => {
    expect(() => parseElf(linuxLikeElf(change))).toThrow(BadInputError);
    expect(() => parseElf(linuxLikeElf(change))).toThrow(message);
  });

  it.each([
    [4, 9, 'unknown ELF class 9 at offset 0x4'],
    [5, 2, 'not little-endian: its ELF data encoding at offset 0x5 is 2'],
    [54, 8, 'program headers of 8 bytes, too small for ELF64'],
    [0, 0, 'does not start with 7f 45 4c 46'],
  ])('refuses byte %i = %i', (at, value, message) => {
    const bytes = linuxLikeElf();
    bytes[at] = value;
    expect(() => parseElf(bytes)).toThrow(message);
  });

  it('names what a truncated file lacks', () => {
    const bytes = linuxLikeElf();
    for (const [size, what] of [
      [10, 'the ELF identification should be at bytes 0x0 to 0x10, but there are only 0xa bytes'],
      [40, 'the ELF header'],
      [100, 'the table of 3 program headers should be at bytes 0x40 to 0xe8'],
      [1000, 'segment 0 (0x1000 bytes)'],
    ] as const) {
      expect(() => parseElf(bytes.subarray(0, size))).toThrow(what);
    }
  });

  it('recognises 32-bit kernels, which cannot be started', () => {
    const bytes = new Uint8Array(52);
    bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
    bytes.set([2, 0, 3, 0], 16);
    expect(parseElf(bytes)).toMatchObject({ bits: 32, machine: 3 });
  });
});

describe('notes', () => {
  it("reads all of a Linux kernel's notes", () => {
    const notes = readPvNotes(parseElf(linuxLikeElf()));
    expect(notes).toEqual({
      source: 'ELF notes',
      entry: VIRT_BASE + 0x100040n,
      virtBase: VIRT_BASE,
      paddrOffset: 0n,
      initP2m: 0x8000000000n,
      hvStartLow: 0xffff800000000000n,
      phys32Entry: 0x1000850n,
      l1MfnValid: [{ mask: 1n, value: 1n }],
      xenVersion: 'xen-3.0',
      guestOs: 'linux',
      guestVersion: '2.6',
      loader: 'generic',
      paeMode: 'yes',
      features: '!writable_page_tables|pae_pgdir_above_4gb',
      supportedFeatures: 0x8801,
      bsdSymtab: false,
      suspendCancel: true,
      modStartPfn: true,
      supported: 0x8811,
      required: 1,
      unknown: [],
    });
  });

  it('falls back to note sections', () => {
    const elf = parseElf(linuxLikeElf({ notesIn: 'section' }));
    expect(elf.segments.every((s) => s.type === 1)).toBe(true);
    expect(readPvNotes(elf)).toMatchObject({ guestOs: 'linux', virtBase: VIRT_BASE });
  });

  it('falls back to the __xen_guest section, with its own defaults', () => {
    const guestInfo = `GUEST_OS=linux,XEN_VER=xen-3.0,VIRT_BASE=${VIRT_BASE},HYPERCALL_PAGE=0x102,PAE=yes,LOADER=generic,FEATURES=!writable_page_tables`;
    const elf = linuxLikeElf({
      notes: [],
      guestInfo,
      entry: VIRT_BASE + 0x100000n,
      segments: [{ physical: VIRT_BASE + 0x100000n, contents: new Uint8Array(0x3000) }],
    });
    const kernel = parsePvKernel(elf);
    // PADDR_OFFSET defaults to VIRT_BASE here, and the hypercall page is a page number.
    expect(kernel).toMatchObject({ virtStart: VIRT_BASE + 0x100000n, hypercallPage: VIRT_BASE + 0x102000n });
    expect(kernel.notes).toMatchObject({ source: '__xen_guest section', required: 1, modStartPfn: false });
  });

  it('the last note of a type wins, others of other names are ignored, unknown types are listed', () => {
    const notes = [
      { type: 1, descriptor: u64(5n), name: 'GNU' },
      ...linuxNotes(),
      { type: 7, descriptor: asciz('9.9') },
      { type: 77, descriptor: u32(1) },
    ];
    expect(readPvNotes(parseElf(linuxLikeElf({ notes })))).toMatchObject({
      entry: VIRT_BASE + 0x100040n,
      guestVersion: '9.9',
      unknown: [77],
    });
  });

  it('refuses a note that reaches beyond its segment', () => {
    const bytes = linuxLikeElf({ notes: [{ type: 1, descriptor: u64(5n) }] });
    const at = bytes.findIndex((b, i) => b === 0x58 && bytes[i + 1] === 0x65 && bytes[i + 2] === 0x6e) - 12;
    bytes[at + 4] = 200;
    expect(() => parsePvKernel(bytes)).toThrow(`damaged ELF note at offset 0x${at.toString(16)}`);
  });

  it('encodes as the tests think', () => {
    expect(encodeNotes([{ type: 2, descriptor: u32(7) }])).toHaveLength(20);
  });
});

describe('parsePvKernel', () => {
  it('derives the addresses', () => {
    expect(parsePvKernel(linuxLikeElf())).toMatchObject({
      virtBase: VIRT_BASE,
      virtStart: VIRT_BASE + 0x100000n,
      virtEnd: VIRT_BASE + 0x103000n,
      entry: VIRT_BASE + 0x100040n,
      p2mBase: 0x8000000000n,
      features: 1,
      load: [{ destination: 0 }, { destination: 0x1000 }],
    });
  });

  it('without VIRT_BASE the kernel lies at its physical addresses, and ENTRY defaults to that of the ELF header', () => {
    const kernel = parsePvKernel(withNotes({ 1: undefined, 3: undefined, 4: undefined, 15: undefined }));
    expect(kernel).toMatchObject({ virtBase: 0n, virtStart: 0x100000n, entry: 0x100000n });
    expect(kernel.p2mBase).toBeUndefined();
  });

  it('ignores an INIT_P2M that is not aligned, or above the kernel, as Xen does', () => {
    expect(parsePvKernel(withNotes({ 15: u64(0x8000000800n) })).p2mBase).toBeUndefined();
    expect(parsePvKernel(withNotes({ 15: u64(0xffffffffc0000000n) })).p2mBase).toBeUndefined();
  });

  it.each([
    [{ notes: [] }, 'Not a Xen PV kernel: no XEN_ELFNOTE and no section'],
    [
      { notes: linuxNotes({ 5: asciz('xen-9') }) },
      'XEN_VERSION should be "xen-3.0", but the ELF notes say "xen-9"',
    ],
    [{ notes: linuxNotes({ 6: asciz('bsd'), 8: asciz('own') }) }, 'say LOADER "own" and GUEST_OS "bsd"'],
    [{ notes: linuxNotes({ 3: undefined }) }, 'gives PADDR_OFFSET but not VIRT_BASE'],
    [{ notes: linuxNotes({ 1: u64(0x1234n) }) }, 'and its entry is 0x1234'],
    [
      { notes: linuxNotes({ 15: u64(VIRT_BASE + 0x101000n) }) },
      'INIT_P2M 0xffffffff80101000 lies in the kernel',
    ],
    [{ notes: linuxNotes({ 2: u64(0x1000n) }) }, 'HYPERCALL_PAGE 0x1000 lies below VIRT_BASE'],
    [{ notes: linuxNotes({ 10: asciz('!time_travel') }) }, "requires the unknown Xen feature 'time_travel'"],
    [{ notes: linuxNotes({ 10: asciz('!dom0') }) }, 'can only run as domain 0'],
    [{ notes: linuxNotes({ 10: asciz('!auto_translated_physmap') }) }, 'no longer offers to PV guests'],
    [{ segments: [] }, 'nothing to load'],
    [
      { segments: [{ physical: 0x100010n, contents: new Uint8Array(4096) }] },
      'must be multiples of the page size',
    ],
    [
      {
        segments: Array.from({ length: 5 }, () => ({
          physical: 0x100000n,
          contents: new Uint8Array(),
          memory: 1 << 30,
        })),
      },
      'overlap too much',
    ],
  ])('refuses %#', (change, message) => {
    expect(() => parsePvKernel(linuxLikeElf(change))).toThrow(BadInputError);
    expect(() => parsePvKernel(linuxLikeElf(change))).toThrow(message);
  });

  it('says that BSD symbol tables are not loaded', () => {
    expect(() => parsePvKernel(withNotes({ 11: asciz('yes') }))).toThrow(NotImplementedError);
  });

  it('truncation anywhere and damage anywhere end in a clear error or in a kernel', () => {
    const bytes = linuxLikeElf({ notesIn: 'section', guestInfo: 'GUEST_OS=linux' });
    const run = (image: Uint8Array): void => {
      try {
        parsePvKernel(image);
      } catch (error) {
        if (!(error instanceof BadInputError || error instanceof NotImplementedError)) throw error;
      }
    };
    for (let size = 0; size < bytes.length; size += size < 300 ? 1 : 41) run(bytes.subarray(0, size));
    const interesting = fc.oneof(fc.nat(300), fc.integer({ min: 4400, max: bytes.length - 1 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(interesting, fc.nat(255)), { minLength: 1, maxLength: 6 }), (changes) => {
        const damaged = bytes.slice();
        for (const [at, value] of changes) damaged[at % damaged.length] = value;
        run(damaged);
      }),
      { numRuns: 2000, seed: 2 },
    );
  });

  it('a hostile number of program headers does not take long', () => {
    const bytes = makeElf({
      segments: [{ physical: 0x1000n, contents: new Uint8Array(16) }],
      notes: linuxNotes(),
    });
    new DataView(bytes.buffer).setUint16(56, 0xffff, true);
    expect(() => parsePvKernel(bytes)).toThrow('the table of 65535 program headers');
  });
});

describe('features', () => {
  it('parses strings', () => {
    expect(parseFeatures('!writable_page_tables|pae_pgdir_above_4gb')).toEqual({
      supported: 0x11,
      required: 1,
    });
    expect(parseFeatures('')).toEqual({ supported: 0, required: 0 });
    expect(parseFeatures('dom0|something_else')).toEqual({ supported: 1 << 11, required: 0 });
  });

  it('names bits', () => {
    expect(featureNames(0x8811 | 0x1000)).toEqual([
      'writable_page_tables',
      'pae_pgdir_above_4gb',
      'dom0',
      'bit 12',
      'linux_rsdp_unrestricted',
    ]);
  });

  it('the kernel must support what is requested', () => {
    expect(checkFeatures({ supported: 0x11, required: 1 }, 'pae_pgdir_above_4gb')).toBe(0x11);
    expect(() => checkFeatures({ supported: 0x11, required: 1 }, 'supervisor_mode_kernel')).toThrow(
      'does not support the requested features supervisor_mode_kernel: it supports writable_page_tables, pae_pgdir_above_4gb',
    );
  });
});
