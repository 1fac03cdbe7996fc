import { BadInputError, NotImplementedError } from '@xenolith/host-interface';
import { type ElfImage, type ElfSegment, PT_LOAD, parseElf, requireX8664 } from '../elf/elf.js';
import { hex, printable } from '../reader.js';
import { checkFeatures } from './features.js';
import { readPvNotes } from './notes.js';
import type { PvNotes } from './pv-notes.js';

const PAGE = 4096n;
const U64_END = 1n << 64n;

/** An ELF kernel that can be started as a PV guest, with the addresses that Xen derives from its notes. */
export interface PvKernel {
  readonly elf: ElfImage;
  readonly notes: PvNotes;
  /** Virtual address of pfn 0 in the initial mapping. */
  readonly virtBase: bigint;
  /** First byte of the loaded image, page-aligned, and the first byte after it. */
  readonly virtStart: bigint;
  readonly virtEnd: bigint;
  readonly entry: bigint;
  /** Where the p2m shall be mapped on its own (INIT_P2M, if usable); absent: it follows the kernel. */
  readonly p2mBase?: bigint;
  /** Virtual address of the page to fill with hypercall stubs. */
  readonly hypercallPage?: bigint;
  /** Loadable segments, in file order; `destination` is the offset from `virtStart`. */
  readonly load: readonly (ElfSegment & { readonly destination: number })[];
  /** Active features: see {@link checkFeatures}. */
  readonly features: number;
}

/**
 * Parses an uncompressed ELF kernel and checks that it can be started as a 64-bit PV guest, with the rules of Xen 4.17's
 * libelf and libxc.
 * @param features features requested by the configuration
 * @throws BadInputError, NotImplementedError
 */
export function parsePvKernel(bytes: Uint8Array, features = ''): PvKernel {
  const elf = parseElf(bytes);
  const notes = readPvNotes(elf);
  if (notes === undefined) {
    throw new BadInputError(
      `Not a Xen PV kernel: no XEN_ELFNOTE and no section '__xen_guest' found in the ELF image; ` +
        'a Linux kernel needs CONFIG_XEN_PV, another kernel a PT_NOTE segment with notes named "Xen".',
    );
  }
  checkNotes(notes);
  requireX8664(elf);
  if (notes.bsdSymtab) {
    throw new NotImplementedError(
      'The kernel asks for its symbol table to be loaded (BSD_SYMTAB), which is not possible yet.',
    );
  }
  const active = checkFeatures(notes, features);
  return { elf, notes, features: active, ...addresses(elf, notes) };
}

function checkNotes(notes: PvNotes): void {
  const { loader = '', guestOs = '', xenVersion = '' } = notes;
  if (!loader.startsWith('generic') && !guestOs.startsWith('linux')) {
    throw new BadInputError(
      `Not a Xen PV kernel: Xen starts images with LOADER "generic" or GUEST_OS "linux", ` +
        `but the ${notes.source} say LOADER "${printable(loader)}" and GUEST_OS "${printable(guestOs)}".`,
    );
  }
  if (!xenVersion.startsWith('xen-3.0')) {
    throw new BadInputError(
      `The kernel is not for this Xen: XEN_VERSION should be "xen-3.0", but the ${notes.source} say "${printable(xenVersion)}".`,
    );
  }
}

type Addresses = Pick<
  PvKernel,
  'virtBase' | 'virtStart' | 'virtEnd' | 'entry' | 'p2mBase' | 'hypercallPage' | 'load'
>;

function addresses(elf: ElfImage, notes: PvNotes): Addresses {
  if (notes.paddrOffset !== undefined && notes.virtBase === undefined) {
    throw new BadInputError('The kernel gives PADDR_OFFSET but not VIRT_BASE.');
  }
  // Segments without any permission are not loaded.
  const loadable = elf.segments.filter((s) => s.type === PT_LOAD && (s.flags & 7) !== 0 && s.memorySize > 0);
  if (loadable.length === 0)
    throw new BadInputError('The kernel has nothing to load: no PT_LOAD segment with contents.');
  let low = U64_END;
  let high = 0n;
  for (const { physicalAddress, memorySize } of loadable) {
    const end = physicalAddress + BigInt(memorySize);
    if (physicalAddress < low) low = physicalAddress;
    if (end > high) high = end;
  }
  // Xen's limit: bizarre images may write the memory that they take up to twice.
  const written = loadable.reduce((sum, s) => sum + s.memorySize, 0);
  if (written > 2 * Number(high - low)) {
    throw new BadInputError(
      `The kernel's segments overlap too much: together ${hex(written)} bytes, loaded to a range of ${hex(high - low)}.`,
    );
  }
  const virtBase = notes.virtBase ?? 0n;
  const paddrOffset = notes.paddrOffset ?? (notes.source === 'ELF notes' ? 0n : virtBase);
  const virtStart = BigInt.asUintN(64, low + virtBase - paddrOffset);
  const virtEnd = virtStart + (high - low);
  const entry = notes.entry ?? elf.entry;
  if (virtEnd > U64_END || entry < virtStart || entry > virtEnd || virtBase > virtStart) {
    throw new BadInputError(
      `The kernel's addresses contradict each other: it is loaded at ${hex(virtStart)} to ${hex(virtEnd)} ` +
        `(VIRT_BASE ${hex(virtBase)}, PADDR_OFFSET ${hex(paddrOffset)}), and its entry is ${hex(entry)}.`,
    );
  }
  if (virtStart % PAGE !== 0n || virtBase % PAGE !== 0n) {
    throw new BadInputError(
      `The kernel's start ${hex(virtStart)} and VIRT_BASE ${hex(virtBase)} must be multiples of the page size.`,
    );
  }
  const p2mBase = notes.initP2m;
  if (p2mBase !== undefined && p2mBase >= virtStart && p2mBase < virtEnd) {
    throw new BadInputError(
      `The kernel's INIT_P2M ${hex(p2mBase)} lies in the kernel, ${hex(virtStart)} to ${hex(virtEnd)}.`,
    );
  }
  // Xen's tools ignore an INIT_P2M that is not below the kernel or not aligned.
  const usableP2m = p2mBase !== undefined && p2mBase < virtBase && p2mBase % PAGE === 0n;
  return {
    virtBase,
    virtStart,
    virtEnd,
    entry,
    ...(usableP2m ? { p2mBase } : {}),
    ...(notes.hypercallPage !== undefined
      ? { hypercallPage: hypercallPage(notes.hypercallPage, virtBase) }
      : {}),
    load: loadable.map((s) => ({ ...s, destination: Number(s.physicalAddress - low) })),
  };
}

function hypercallPage(address: bigint, virtBase: bigint): bigint {
  if (address >= virtBase) return address;
  throw new BadInputError(
    `The kernel's HYPERCALL_PAGE ${hex(address)} lies below VIRT_BASE ${hex(virtBase)}.`,
  );
}
