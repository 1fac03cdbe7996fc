import { BadInputError } from '@xenolith/host-interface';
import { hex } from '../reader.js';
import { type ElfImage, PT_NOTE, SHT_NOTE } from './elf.js';

/** Xen's own limit (libelf), so that a damaged image cannot make us loop for long. */
const MAX_NOTES = 65_536;

/** One entry of a note segment or section; `offset` is where its header lies in the file. */
export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly offset: number;
  readonly descriptor: Uint8Array;
}

/**
 * Notes named `Xen`: those of PT_NOTE segments, or, if there are none, those of SHT_NOTE sections (as Xen's libelf
 * looks for them). Segments at file offset 0 are skipped: some linkers leave the offset unset.
 * @throws BadInputError for a note that reaches beyond its segment
 */
export function xenNotes(elf: ElfImage): ElfNote[] {
  const budget = { left: MAX_NOTES };
  const collect = (ranges: readonly { offset: number; size: number }[]): ElfNote[] =>
    ranges
      .flatMap(({ offset, size }) => [...readNotes(elf, offset, size, budget)])
      .filter((n) => n.name === 'Xen');
  const fromSegments = collect(
    elf.segments
      .filter((s) => s.type === PT_NOTE && s.offset !== 0)
      .map((s) => ({ offset: s.offset, size: s.fileSize })),
  );
  if (fromSegments.length > 0) return fromSegments;
  return collect(elf.sections.filter((s) => s.type === SHT_NOTE));
}

function* readNotes(
  elf: ElfImage,
  start: number,
  size: number,
  budget: { left: number },
): Generator<ElfNote> {
  const { reader } = elf;
  const end = start + size;
  let at = start;
  while (at + 12 <= end) {
    if (--budget.left < 0)
      throw new BadInputError(`The ${reader.name} has more than ${MAX_NOTES} ELF notes.`);
    const nameSize = reader.u32(at, 'an ELF note');
    const descriptorSize = reader.u32(at + 4, 'an ELF note');
    const descriptorAt = at + 12 + align4(nameSize);
    if (descriptorAt + descriptorSize > end) {
      throw new BadInputError(
        `The ${reader.name} has a damaged ELF note at offset ${hex(at)}: name of ${nameSize} bytes and descriptor of ` +
          `${descriptorSize} reach beyond the end of the notes at ${hex(end)}.`,
      );
    }
    yield {
      name: reader.string(at + 12, at + 12 + nameSize),
      type: reader.u32(at + 8, 'an ELF note'),
      offset: at,
      descriptor: reader.slice(descriptorAt, descriptorSize, 'an ELF note'),
    };
    at = descriptorAt + align4(descriptorSize);
  }
}

const align4 = (value: number): number => Math.ceil(value / 4) * 4;
