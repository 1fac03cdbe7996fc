import { BadInputError, NotImplementedError } from '@xenolith/host-interface';
import fc from 'fast-check';
import { gzipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { asciz, linuxLikeElf, linuxNotes, makeBzImage } from '../../test/images.js';
import { ArrayTarget, buildPvDomain, parsePvKernel, unpackKernel } from '../index.js';
import { formatKernelReport } from './format.js';
import { inspectKernel } from './inspect.js';

describe('inspectKernel', () => {
  it('shows what would be loaded where', () => {
    const report = inspectKernel(makeBzImage(linuxLikeElf()), {
      memory: 64,
      ramdisk: new Uint8Array(10_000),
    });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(formatKernelReport(report)).toBe(`Image       bzImage, not packed, 6492 bytes (6.3 KiB)
            boot protocol 2.15, payload at 0x640, 4892 bytes (4.8 KiB)
Version     6.1.0-test
Kernel      ELF64 for x86-64, 4892 bytes (4.8 KiB), entry 0x100000

Segment       offset  virtual             physical  in file  in memory
LOAD     r-x  0xe8    0xffffffff80100000  0x100000     4096       4096
LOAD     rw-  0x10ec  0x101000            0x101000      100       8192
NOTE     r--  0x1154  0x0                 0x0           408        408

Notes for Xen (ELF notes)
  GUEST_OS            linux
  GUEST_VERSION       2.6
  XEN_VERSION         xen-3.0
  LOADER              generic
  VIRT_BASE           0xffffffff80000000
  PADDR_OFFSET        0x0
  ENTRY               0xffffffff80100040
  INIT_P2M            0x8000000000
  HV_START_LOW        0xffff800000000000
  PHYS32_ENTRY        0x1000850
  FEATURES            !writable_page_tables|pae_pgdir_above_4gb
  SUPPORTED_FEATURES  0x8801
  PAE_MODE            yes
  L1_MFN_VALID        0x1 = 0x1
  MOD_START_PFN       yes
  SUSPEND_CANCEL      yes
  requires  writable_page_tables
  supports  writable_page_tables, pae_pgdir_above_4gb, dom0, linux_rsdp_unrestricted

In a PV domain (xen-3.0-x86_64) with 64 MiB
Region       pfn    pages  virtual
kernel       0x100      3  0xffffffff80100000
start info   0x103      1  0xffffffff80103000
xenstore     0x104      1  0xffffffff80104000
console      0x105      1  0xffffffff80105000
page tables  0x106      5  0xffffffff80106000
boot stack   0x10b      1  0xffffffff8010b000
ramdisk      0x400      3  not mapped
p2m          0x403     35  0x8000000000
Mapped from 0xffffffff80000000 to 0xffffffff80400000, entry 0xffffffff80100040, 16334 pages free.
`);
  });

  it('shows an image that cannot be started, and why', () => {
    const plain = inspectKernel(linuxLikeElf({ notes: [] }));
    expect(plain.notes).toBeUndefined();
    expect(plain.domain).toBeUndefined();
    expect(formatKernelReport(plain)).toMatch(
      /No notes for Xen\.\n\nCannot be started: Not a Xen PV kernel: no XEN_ELFNOTE/,
    );
    const small = inspectKernel(linuxLikeElf(), { memory: 3 });
    expect(small.notes?.requiredFeatures).toEqual(['writable_page_tables']);
    expect(small.problem).toContain('needs at least 5 MiB');
    const odd = inspectKernel(
      linuxLikeElf({ notes: [...linuxNotes(), { type: 99, descriptor: new Uint8Array() }] }),
    );
    expect(odd.notes?.values.at(-1)).toEqual({ name: 'of unknown types', value: '0x63' });
  });

  it('whatever is damaged, the kernel is refused or built', () => {
    const files = [
      linuxLikeElf(),
      makeBzImage(linuxLikeElf()),
      gzipSync(linuxLikeElf()),
      makeBzImage(gzipSync(linuxLikeElf())),
    ];
    const damage = fc.tuple(fc.nat(), fc.constantFrom(0, 1, 7, 0x7f, 0x80, 0xff));
    fc.assert(
      fc.property(
        fc.constantFrom(...files),
        fc.nat(999),
        fc.array(damage, { maxLength: 4 }),
        (file, spread, changes) => {
          const bytes = file.slice();
          // Half of the damage goes to the first kilobyte, where the headers are.
          for (const [at, value] of changes)
            bytes[at % (spread < 500 ? Math.min(1024, bytes.length) : bytes.length)] = value;
          try {
            inspectKernel(bytes, { memory: 8 });
            const kernel = parsePvKernel(unpackKernel(bytes).image);
            buildPvDomain(new ArrayTarget(6 * 256), {
              kernel,
              sharedInfoMfn: 1,
              storeEvtchn: 1,
              consoleEvtchn: 2,
            });
          } catch (error) {
            if (!(error instanceof BadInputError || error instanceof NotImplementedError)) throw error;
            expect(error.message).toMatch(/^[^\n]{20,500}$/);
          }
        },
      ),
      { numRuns: 300, seed: 4 },
    );
  });

  it('texts out of the image cannot play tricks with the terminal', () => {
    const notes = linuxNotes({ 7: asciz('2.6\x1b[31m\n'), 5: asciz('\x1b]0;x\x07') });
    const report = inspectKernel(linuxLikeElf({ notes }));
    expect(formatKernelReport(report)).not.toMatch(/[^\P{Cc}\n]/u);
    expect(report.notes?.values.find((v) => v.name === 'GUEST_VERSION')?.value).toBe('2.6\\x1b[31m\\x0a');
    expect(report.problem).toContain('"\\x1b]0;x\\x07"');
  });

  it('throws for what is no kernel', () => {
    expect(() => inspectKernel(new Uint8Array(100))).toThrow(BadInputError);
  });
});
