import { BadInputError, NotImplementedError } from '@xenolith/host-interface';
import { hex, ImageReader, startsWith } from '../reader.js';

export const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46] as const;
export const PT_LOAD = 1;
export const PT_NOTE = 4;
export const SHT_NOTE = 7;
export const EM_386 = 3;
export const EM_X86_64 = 62;
const SHT_NOBITS = 8;
const MACHINES: Record<number, string> = {
  3: 'i386',
  8: 'MIPS',
  20: 'PowerPC',
  21: 'PowerPC64',
  22: 'S390',
  40: 'ARM',
  62: 'x86-64',
  183: 'AArch64',
  243: 'RISC-V',
};

/** A program header. Addresses are unsigned 64-bit; offsets and sizes in bytes. */
export interface ElfSegment {
  readonly type: number;
  /** PF_X 1, PF_W 2, PF_R 4 */
  readonly flags: number;
  readonly offset: number;
  readonly virtualAddress: bigint;
  readonly physicalAddress: bigint;
  readonly fileSize: number;
  readonly memorySize: number;
}

export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}

/** A parsed ELF executable. Every PT_LOAD and PT_NOTE segment and every note section lies within `reader`. */
export interface ElfImage {
  readonly reader: ImageReader;
  readonly bits: 32 | 64;
  readonly machine: number;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  readonly sections: readonly ElfSection[];
}

export const isElf = (bytes: Uint8Array): boolean => startsWith(bytes, ELF_MAGIC);

export const machineName = (machine: number): string => MACHINES[machine] ?? `machine ${machine}`;

/**
 * Parses an ELF file's headers (System V ABI, "Object Files"): 64-bit x86-64, and 32-bit i386 so far that it can be
 * named. Section headers may be missing or damaged in a stripped kernel: then there are none.
 * @throws BadInputError for anything that is not a complete little-endian x86 executable
 */
export function parseElf(bytes: Uint8Array, name = 'kernel image'): ElfImage {
  const reader = new ImageReader(bytes, name);
  reader.need(0, 16, 'the ELF identification');
  if (!isElf(bytes))
    throw new BadInputError(`The ${name} is not an ELF file: it does not start with 7f 45 4c 46.`);
  const elfClass = bytes[4]!;
  if (elfClass !== 1 && elfClass !== 2) {
    throw new BadInputError(
      `The ${name} has an unknown ELF class ${elfClass} at offset 0x4 (1 is 32-bit, 2 is 64-bit).`,
    );
  }
  if (bytes[5] !== 1) {
    throw new BadInputError(
      `The ${name} is not little-endian: its ELF data encoding at offset 0x5 is ${bytes[5]}.`,
    );
  }
  const wide = elfClass === 2;
  reader.need(0, wide ? 64 : 52, 'the ELF header');
  const machine = reader.u16(18, 'e_machine');
  if (machine !== (wide ? EM_X86_64 : EM_386)) {
    throw new BadInputError(
      `The ${name} is for ${machineName(machine)} (e_machine ${machine} at offset 0x12, ELF${wide ? 64 : 32}): ` +
        `a kernel for x86-64 is needed.`,
    );
  }
  const type = reader.u16(16, 'e_type');
  if (type !== 2 && type !== 3) {
    throw new BadInputError(
      `The ${name} is not an executable: e_type at offset 0x10 is ${type}` +
        `${type === 1 ? ' (an object file or a kernel module)' : type === 4 ? ' (a core dump)' : ''}.`,
    );
  }
  const segments = readSegments(reader, wide);
  return {
    reader,
    bits: wide ? 64 : 32,
    machine,
    entry: wide ? reader.u64(24, 'e_entry') : BigInt(reader.u32(24, 'e_entry')),
    segments,
    sections: readSections(reader, wide),
  };
}

function readSegments(reader: ImageReader, wide: boolean): ElfSegment[] {
  const table = wide ? reader.size64(32, 'e_phoff') : reader.u32(28, 'e_phoff');
  const entrySize = reader.u16(wide ? 54 : 42, 'e_phentsize');
  const count = reader.u16(wide ? 56 : 44, 'e_phnum');
  if (count > 0 && entrySize < (wide ? 56 : 32)) {
    throw new BadInputError(
      `The ${reader.name} has program headers of ${entrySize} bytes, too small for ELF${wide ? 64 : 32}.`,
    );
  }
  reader.need(table, count * entrySize, `the table of ${count} program headers`);
  const segments: ElfSegment[] = [];
  for (let i = 0; i < count; i++) {
    const at = table + i * entrySize;
    const word = (wideOffset: number, offset: number): number =>
      wide ? reader.size64(at + wideOffset, 'a program header') : reader.u32(at + offset, 'a program header');
    const address = (wideOffset: number, offset: number): bigint =>
      wide
        ? reader.u64(at + wideOffset, 'a program header')
        : BigInt(reader.u32(at + offset, 'a program header'));
    const segment: ElfSegment = {
      type: reader.u32(at, 'a program header'),
      flags: reader.u32(at + (wide ? 4 : 24), 'a program header'),
      offset: word(8, 4),
      virtualAddress: address(16, 8),
      physicalAddress: address(24, 12),
      fileSize: word(32, 16),
      memorySize: word(40, 20),
    };
    if (segment.type === PT_LOAD || segment.type === PT_NOTE) {
      reader.need(segment.offset, segment.fileSize, `segment ${i} (${hex(segment.fileSize)} bytes)`);
    }
    if (segment.type === PT_LOAD && segment.memorySize < segment.fileSize) {
      throw new BadInputError(
        `The ${reader.name}'s segment ${i} takes ${hex(segment.memorySize)} bytes in memory but has ` +
          `${hex(segment.fileSize)} in the file (program header at offset ${hex(at)}).`,
      );
    }
    segments.push(segment);
  }
  return segments;
}

function readSections(reader: ImageReader, wide: boolean): ElfSection[] {
  const table = wide ? reader.size64(40, 'e_shoff') : reader.u32(32, 'e_shoff');
  const entrySize = reader.u16(wide ? 58 : 46, 'e_shentsize');
  const count = reader.u16(wide ? 60 : 48, 'e_shnum');
  const nameIndex = reader.u16(wide ? 62 : 50, 'e_shstrndx');
  if (table === 0 || count === 0 || entrySize < (wide ? 64 : 40) || !reader.has(table, count * entrySize))
    return [];
  const field = (index: number, wideOffset: number, offset: number): number => {
    const at = table + index * entrySize;
    return wide
      ? reader.size64(at + wideOffset, 'a section header')
      : reader.u32(at + offset, 'a section header');
  };
  const names = nameIndex < count ? field(nameIndex, 24, 16) : -1;
  const sections: ElfSection[] = [];
  for (let i = 0; i < count; i++) {
    const at = table + i * entrySize;
    const type = reader.u32(at + 4, 'a section header');
    const offset = field(i, 24, 16);
    const size = field(i, 32, 20);
    const nameAt = names + reader.u32(at, 'a section header');
    const name = names >= 0 && reader.has(nameAt, 1) ? reader.string(nameAt, nameAt + 256) : '';
    if (type === SHT_NOBITS || reader.has(offset, size)) sections.push({ name, type, offset, size });
  }
  return sections;
}

/** @throws NotImplementedError for a 32-bit kernel */
export function requireX8664(elf: ElfImage): void {
  if (elf.bits === 64) return;
  throw new NotImplementedError(
    'The kernel is a 32-bit x86 image (guest type xen-3.0-x86_32p): only 64-bit kernels (xen-3.0-x86_64) can be started.',
  );
}
