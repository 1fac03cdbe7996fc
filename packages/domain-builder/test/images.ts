/** Builds small kernel images for the tests. */
export interface TestSegment {
  readonly physical: bigint;
  readonly virtual?: bigint;
  readonly contents: Uint8Array;
  /** Bytes in memory; those of the contents unless set. */
  readonly memory?: number;
  readonly flags?: number;
}

export interface TestNote {
  readonly type: number;
  readonly descriptor: Uint8Array;
  readonly name?: string;
}

export interface TestElf {
  readonly entry?: bigint;
  readonly machine?: number;
  readonly type?: number;
  readonly segments?: readonly TestSegment[];
  readonly notes?: readonly TestNote[];
  /** Where the notes go: a PT_NOTE segment (unless set), or a SHT_NOTE section. */
  readonly notesIn?: 'segment' | 'section';
  /** Contents of a `__xen_guest` section. */
  readonly guestInfo?: string;
}

export const u32 = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value]).buffer);
export const u64 = (...values: bigint[]): Uint8Array => new Uint8Array(new BigUint64Array(values).buffer);
export const asciz = (text: string): Uint8Array => new TextEncoder().encode(`${text}\0`);

const align4 = (value: number): number => (value + 3) & ~3;

export function encodeNotes(notes: readonly TestNote[]): Uint8Array {
  const parts = notes.map(({ type, descriptor, name = 'Xen' }) => {
    const nameBytes = asciz(name);
    const bytes = new Uint8Array(12 + align4(nameBytes.length) + align4(descriptor.length));
    bytes.set(u32(nameBytes.length), 0);
    bytes.set(u32(descriptor.length), 4);
    bytes.set(u32(type), 8);
    bytes.set(nameBytes, 12);
    bytes.set(descriptor, 12 + align4(nameBytes.length));
    return bytes;
  });
  return concatenate(parts);
}

export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** An ELF64 file: header, program headers, contents, notes, section headers (if needed). */
export function makeElf(elf: TestElf): Uint8Array {
  const { segments = [], notes = [], notesIn = 'segment', guestInfo } = elf;
  const noteBytes = encodeNotes(notes);
  const hasNoteSegment = notes.length > 0 && notesIn === 'segment';
  const count = segments.length + (hasNoteSegment ? 1 : 0);
  let at = 64 + count * 56;
  const place = (bytes: Uint8Array): { at: number; bytes: Uint8Array } => {
    const placed = { at, bytes };
    at += align4(bytes.length) + 4;
    return placed;
  };
  const contents = segments.map((s) => place(s.contents));
  const note = place(noteBytes);
  const guest = place(asciz(guestInfo ?? ''));
  const names = place(asciz('\0.note\0__xen_guest\0.shstrtab'));
  const sections = align4(at);
  const hasSections = guestInfo !== undefined || (notes.length > 0 && notesIn === 'section');
  const file = new Uint8Array(hasSections ? sections + 4 * 64 : at);
  const view = new DataView(file.buffer);
  for (const part of [...contents, note, guest, names]) file.set(part.bytes, part.at);

  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, elf.type ?? 2, true);
  view.setUint16(18, elf.machine ?? 62, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, elf.entry ?? 0n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, count, true);
  view.setUint16(58, 64, true);
  const programHeader = (index: number, type: number, flags: number, values: (bigint | number)[]): void => {
    const base = 64 + index * 56;
    view.setUint32(base, type, true);
    view.setUint32(base + 4, flags, true);
    values.forEach((value, i) => {
      view.setBigUint64(base + 8 + i * 8, BigInt(value), true);
    });
  };
  segments.forEach((s, i) => {
    const size = s.contents.length;
    const position = [contents[i]!.at, s.virtual ?? s.physical, s.physical];
    programHeader(i, 1, s.flags ?? 7, [...position, size, s.memory ?? size, 4096]);
  });
  if (hasNoteSegment) {
    programHeader(segments.length, 4, 4, [note.at, 0, 0, noteBytes.length, noteBytes.length, 4]);
  }
  if (hasSections) {
    view.setBigUint64(40, BigInt(sections), true);
    view.setUint16(60, 4, true);
    view.setUint16(62, 3, true);
    const sectionHeader = (index: number, name: number, type: number, offset: number, size: number): void => {
      const base = sections + index * 64;
      view.setUint32(base, name, true);
      view.setUint32(base + 4, type, true);
      view.setBigUint64(base + 24, BigInt(offset), true);
      view.setBigUint64(base + 32, BigInt(size), true);
    };
    sectionHeader(1, 1, notesIn === 'section' ? 7 : 1, note.at, noteBytes.length);
    sectionHeader(2, guestInfo === undefined ? 0 : 7, 1, guest.at, guest.bytes.length);
    sectionHeader(3, 19, 3, names.at, names.bytes.length);
  }
  return file;
}

export const VIRT_BASE = 0xffffffff80000000n;

/** Notes as Debian's kernel has them, but for the addresses. */
export function linuxNotes(change: Partial<Record<number, Uint8Array | undefined>> = {}): TestNote[] {
  const descriptors: Record<number, Uint8Array | undefined> = {
    1: u64(VIRT_BASE + 0x100040n),
    3: u64(VIRT_BASE),
    4: u64(0n),
    5: asciz('xen-3.0'),
    6: asciz('linux'),
    7: asciz('2.6'),
    8: asciz('generic'),
    9: asciz('yes'),
    10: new TextEncoder().encode('!writable_page_tables|pae_pgdir_above_4gb'),
    12: u64(0xffff800000000000n),
    13: u64(1n, 1n),
    14: u32(1),
    15: u64(0x8000000000n),
    16: u64(1n),
    17: u32(0x8801),
    18: u32(0x1000850),
    ...change,
  };
  return Object.entries(descriptors).flatMap(([type, descriptor]) =>
    descriptor === undefined ? [] : [{ type: Number(type), descriptor }],
  );
}

/** A kernel of 3 pages at 1 MiB: one of text, one of data, one of bss. */
export function linuxLikeElf(change: Partial<TestElf> = {}): Uint8Array {
  return makeElf({
    entry: 0x100000n,
    segments: [
      {
        physical: 0x100000n,
        virtual: VIRT_BASE + 0x100000n,
        contents: new Uint8Array(4096).fill(0x90),
        flags: 5,
      },
      { physical: 0x101000n, contents: new Uint8Array(100).fill(0xda), memory: 0x2000, flags: 6 },
    ],
    notes: linuxNotes(),
    ...change,
  });
}

/** A bzImage of boot protocol 2.15 around a payload. */
export function makeBzImage(payload: Uint8Array, protocol = 0x20f): Uint8Array {
  const setupSectors = 2;
  const inner = 0x40;
  const file = new Uint8Array((setupSectors + 1) * 512 + inner + payload.length);
  const view = new DataView(file.buffer);
  file[0x1f1] = setupSectors;
  file.set(new TextEncoder().encode('HdrS'), 0x202);
  view.setUint16(0x206, protocol, true);
  view.setUint16(0x20e, 0x100, true);
  view.setUint32(0x248, inner, true);
  view.setUint32(0x24c, payload.length, true);
  file.set(asciz('6.1.0-test'), 0x300);
  file.set(payload, (setupSectors + 1) * 512 + inner);
  return file;
}

/** A payload followed by the unpacked length, as Linux appends it. */
export const withLength = (packed: Uint8Array, length: number): Uint8Array =>
  concatenate([packed, u32(length)]);

/** An .xz stream that holds bytes unpacked, without check: for images made in a test. */
export function storeXz(bytes: Uint8Array, crc32: (bytes: Uint8Array) => number): Uint8Array {
  const flags = new Uint8Array([0, 0]);
  const header = new Uint8Array([2, 0, 0x21, 1, 0x16, 0, 0, 0]);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 0x10000) {
    const chunk = bytes.subarray(at, at + 0x10000);
    const size = chunk.length - 1;
    chunks.push(new Uint8Array([at === 0 ? 1 : 2, size >> 8, size]), chunk);
  }
  const data = concatenate([...chunks, new Uint8Array([0])]);
  const padding = new Uint8Array(align4(data.length) - data.length);
  const start = [new Uint8Array([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), flags, u32(crc32(flags))];
  return concatenate([...start, header, u32(crc32(header)), data, padding, new Uint8Array([0])]);
}
