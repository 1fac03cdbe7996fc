import type { ElfImage } from '../elf/elf.js';
import { emptyNotes, type MutablePvNotes, type PvNotes, takeFeatures } from './pv-notes.js';

const U64 = 64;

/**
 * The legacy form of the notes: a section `__xen_guest` with one string of `NAME=VALUE` pairs separated by commas
 * (public/elfnote.h, "LEGACY"). HYPERCALL_PAGE is a page number relative to VIRT_BASE there.
 * @returns undefined if there is no such section
 */
export function guestInfoNotes(elf: ElfImage): PvNotes | undefined {
  const section = elf.sections.find((s) => s.name === '__xen_guest');
  if (section === undefined) return undefined;
  const text = elf.reader.string(section.offset, section.offset + section.size);
  const notes = emptyNotes('__xen_guest section');
  for (const pair of text.split(',')) {
    const equals = pair.indexOf('=');
    const name = equals < 0 ? pair : pair.slice(0, equals);
    takePair(notes, name, equals < 0 ? '' : pair.slice(equals + 1));
  }
  if (notes.virtBase !== undefined && notes.hypercallPage !== undefined) {
    notes.hypercallPage = BigInt.asUintN(U64, notes.hypercallPage + notes.virtBase);
  }
  return notes;
}

function takePair(notes: MutablePvNotes, name: string, value: string): void {
  switch (name) {
    case 'LOADER':
      notes.loader = value;
      break;
    case 'GUEST_OS':
      notes.guestOs = value;
      break;
    case 'GUEST_VER':
      notes.guestVersion = value;
      break;
    case 'XEN_VER':
      notes.xenVersion = value;
      break;
    case 'PAE':
      notes.paeMode = value;
      break;
    case 'BSD_SYMTAB':
      notes.bsdSymtab = true;
      break;
    case 'VIRT_BASE':
      notes.virtBase = parseNumber(value);
      break;
    case 'VIRT_ENTRY':
      notes.entry = parseNumber(value);
      break;
    case 'ELF_PADDR_OFFSET':
      notes.paddrOffset = parseNumber(value);
      break;
    case 'HYPERCALL_PAGE':
      notes.hypercallPage = BigInt.asUintN(U64, parseNumber(value) << 12n);
      break;
    case 'FEATURES':
      takeFeatures(notes, value);
      break;
  }
}

/** As C's strtoull with base 0: 0x…, 0… (octal) or decimal; the number ends at the first other character. */
function parseNumber(text: string): bigint {
  const match = /^\s*(?:0[xX]([0-9a-fA-F]{1,64})|0([0-7]{1,64})|([0-9]{1,64}))/.exec(text);
  if (match === null) return 0n;
  const [, sixteen, eight, ten] = match;
  return BigInt.asUintN(U64, BigInt(sixteen ? `0x${sixteen}` : eight ? `0o${eight}` : ten!));
}
