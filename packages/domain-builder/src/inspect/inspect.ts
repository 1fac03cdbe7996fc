import { BadInputError, NotImplementedError } from '@xenolith/host-interface';
import { type ElfImage, machineName, parseElf } from '../elf/elf.js';
import { featureNames } from '../pv/features.js';
import { type PvKernel, parsePvKernel } from '../pv/kernel.js';
import { layoutPvDomain } from '../pv/layout.js';
import { readPvNotes } from '../pv/notes.js';
import type { PvNotes } from '../pv/pv-notes.js';
import { placeRamdisk } from '../pv/ramdisk.js';
import { hex, printable } from '../reader.js';
import { type UnpackedKernel, type UnpackOptions, unpackKernel } from '../unpack/unpack-kernel.js';

export interface InspectOptions extends UnpackOptions {
  /** Memory of the domain to lay out, in MiB; 512 unless set. */
  readonly memory?: number;
  /** A ramdisk file to lay out with it. */
  readonly ramdisk?: Uint8Array;
}

/** What {@link inspectKernel} finds. Plain data, fit for JSON: addresses and bit sets are strings in hexadecimal. */
export interface KernelReport {
  readonly file: {
    readonly bytes: number;
    readonly container: 'ELF' | 'bzImage';
    readonly compression: string;
    /** Boot protocol as `2.15`, the kernel's own version, and where the payload lies in the file. */
    readonly bzImage?: {
      readonly protocol: string;
      readonly version: string;
      readonly payloadOffset: number;
      readonly payloadLength: number;
    };
  };
  readonly elf: {
    readonly bytes: number;
    readonly bits: 32 | 64;
    readonly machine: string;
    readonly entry: string;
    readonly segments: readonly {
      readonly type: string;
      /** Such as `r-x`. */
      readonly access: string;
      readonly fileOffset: string;
      readonly virtual: string;
      readonly physical: string;
      readonly fileBytes: number;
      readonly memoryBytes: number;
    }[];
  };
  readonly notes?: {
    readonly source: string;
    readonly values: readonly { readonly name: string; readonly value: string }[];
    readonly supportedFeatures: readonly string[];
    readonly requiredFeatures: readonly string[];
  };
  /** What would be loaded where; absent if the kernel cannot be started. */
  readonly domain?: {
    readonly guestType: string;
    readonly memory: number;
    readonly virtBase: string;
    readonly entry: string;
    readonly regions: readonly {
      readonly name: string;
      readonly pfn: number;
      readonly pages: number;
      readonly virtual?: string;
    }[];
    readonly mappedEnd: string;
    readonly freePages: number;
  };
  /** Why the kernel cannot be started in such a domain. */
  readonly problem?: string;
}

/**
 * Looks at a kernel file without starting it.
 * @throws BadInputError, NotImplementedError if it cannot even be unpacked; anything later is the report's `problem`
 */
export function inspectKernel(bytes: Uint8Array, options: InspectOptions = {}): KernelReport {
  const unpacked = unpackKernel(bytes, options);
  const elf = parseElf(unpacked.image);
  const report = { file: describeFile(bytes, unpacked), elf: describeElf(elf) };
  const notes = attempt(() => readPvNotes(elf));
  const shown = 'value' in notes && notes.value !== undefined ? { notes: describeNotes(notes.value) } : {};
  const domain = attempt(() => describeDomain(parsePvKernel(unpacked.image), options));
  return {
    ...report,
    ...shown,
    ...('value' in domain ? { domain: domain.value } : { problem: domain.problem }),
  };
}

function attempt<T>(what: () => T): { value: T } | { problem: string } {
  try {
    return { value: what() };
  } catch (error) {
    if (error instanceof BadInputError || error instanceof NotImplementedError)
      return { problem: error.message };
    throw error;
  }
}

function describeFile(
  bytes: Uint8Array,
  { container, compression, bzImage }: UnpackedKernel,
): KernelReport['file'] {
  const file = { bytes: bytes.length, container, compression };
  if (bzImage === undefined) return file;
  const { protocol, version, payloadOffset, payloadLength } = bzImage;
  const shown = `${protocol >> 8}.${String(protocol & 0xff).padStart(2, '0')}`;
  return { ...file, bzImage: { protocol: shown, version: printable(version), payloadOffset, payloadLength } };
}

const SEGMENT_TYPES: Record<number, string> = {
  1: 'LOAD',
  2: 'DYNAMIC',
  3: 'INTERP',
  4: 'NOTE',
  6: 'PHDR',
  7: 'TLS',
  1685382480: 'GNU_EH_FRAME',
  1685382481: 'GNU_STACK',
  1685382482: 'GNU_RELRO',
  1685382483: 'GNU_PROPERTY',
};

function describeElf(elf: ElfImage): KernelReport['elf'] {
  return {
    bytes: elf.reader.size,
    bits: elf.bits,
    machine: machineName(elf.machine),
    entry: hex(elf.entry),
    segments: elf.segments.map((s) => ({
      type: SEGMENT_TYPES[s.type] ?? hex(s.type),
      access: `${s.flags & 4 ? 'r' : '-'}${s.flags & 2 ? 'w' : '-'}${s.flags & 1 ? 'x' : '-'}`,
      fileOffset: hex(s.offset),
      virtual: hex(s.virtualAddress),
      physical: hex(s.physicalAddress),
      fileBytes: s.fileSize,
      memoryBytes: s.memorySize,
    })),
  };
}

function describeNotes(notes: PvNotes): NonNullable<KernelReport['notes']> {
  const number = (value: bigint | number | undefined): string | undefined =>
    value === undefined ? undefined : hex(value);
  const all: [string, string | undefined][] = [
    ['GUEST_OS', notes.guestOs],
    ['GUEST_VERSION', notes.guestVersion],
    ['XEN_VERSION', notes.xenVersion],
    ['LOADER', notes.loader],
    ['VIRT_BASE', number(notes.virtBase)],
    ['PADDR_OFFSET', number(notes.paddrOffset)],
    ['ENTRY', number(notes.entry)],
    ['HYPERCALL_PAGE', number(notes.hypercallPage)],
    ['INIT_P2M', number(notes.initP2m)],
    ['HV_START_LOW', number(notes.hvStartLow)],
    ['PHYS32_ENTRY', number(notes.phys32Entry)],
    ['FEATURES', notes.features],
    ['SUPPORTED_FEATURES', number(notes.supportedFeatures)],
    ['PAE_MODE', notes.paeMode],
    ['L1_MFN_VALID', notes.l1MfnValid?.map(({ mask, value }) => `${hex(mask)} = ${hex(value)}`).join(', ')],
    ['MOD_START_PFN', notes.modStartPfn ? 'yes' : undefined],
    ['SUSPEND_CANCEL', notes.suspendCancel ? 'yes' : undefined],
    ['BSD_SYMTAB', notes.bsdSymtab ? 'yes' : undefined],
    ['of unknown types', notes.unknown.length > 0 ? notes.unknown.map((t) => hex(t)).join(', ') : undefined],
  ];
  return {
    source: notes.source,
    values: all.flatMap(([name, value]) => (value === undefined ? [] : [{ name, value: printable(value) }])),
    supportedFeatures: featureNames(notes.supported),
    requiredFeatures: featureNames(notes.required),
  };
}

function describeDomain(
  kernel: PvKernel,
  { memory = 512, ramdisk }: InspectOptions,
): NonNullable<KernelReport['domain']> {
  const size = ramdisk === undefined ? 0 : placeRamdisk(ramdisk).size;
  const layout = layoutPvDomain(kernel, memory * 256, size);
  return {
    guestType: 'xen-3.0-x86_64',
    memory,
    virtBase: hex(kernel.virtBase),
    entry: hex(kernel.entry),
    regions: layout.regions.map(({ name, pfn, pages, virtual }) => ({
      name,
      pfn,
      pages,
      ...(virtual === undefined ? {} : { virtual: hex(virtual) }),
    })),
    mappedEnd: hex(layout.mappedEnd),
    freePages: layout.pages - layout.regions.reduce((sum, { pages }) => sum + pages, 0),
  };
}
