import {
  XEN_ELFNOTE_BSD_SYMTAB,
  XEN_ELFNOTE_ENTRY,
  XEN_ELFNOTE_FEATURES,
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_GUEST_VERSION,
  XEN_ELFNOTE_HV_START_LOW,
  XEN_ELFNOTE_HYPERCALL_PAGE,
  XEN_ELFNOTE_INIT_P2M,
  XEN_ELFNOTE_L1_MFN_VALID,
  XEN_ELFNOTE_LOADER,
  XEN_ELFNOTE_MOD_START_PFN,
  XEN_ELFNOTE_PADDR_OFFSET,
  XEN_ELFNOTE_PAE_MODE,
  XEN_ELFNOTE_PHYS32_ENTRY,
  XEN_ELFNOTE_SUPPORTED_FEATURES,
  XEN_ELFNOTE_SUSPEND_CANCEL,
  XEN_ELFNOTE_VIRT_BASE,
  XEN_ELFNOTE_XEN_VERSION,
} from '@xenolith/xen-abi';
import type { ElfImage } from '../elf/elf.js';
import { type ElfNote, xenNotes } from '../elf/notes.js';
import { guestInfoNotes } from './guest-info.js';
import { emptyNotes, type MutablePvNotes, type PvNotes, takeFeatures } from './pv-notes.js';

const NUMBERS = new Map<
  number,
  'entry' | 'hypercallPage' | 'virtBase' | 'paddrOffset' | 'initP2m' | 'hvStartLow' | 'phys32Entry'
>([
  [XEN_ELFNOTE_ENTRY, 'entry'],
  [XEN_ELFNOTE_HYPERCALL_PAGE, 'hypercallPage'],
  [XEN_ELFNOTE_VIRT_BASE, 'virtBase'],
  [XEN_ELFNOTE_PADDR_OFFSET, 'paddrOffset'],
  [XEN_ELFNOTE_INIT_P2M, 'initP2m'],
  [XEN_ELFNOTE_HV_START_LOW, 'hvStartLow'],
  [XEN_ELFNOTE_PHYS32_ENTRY, 'phys32Entry'],
]);
const STRINGS = new Map<number, 'xenVersion' | 'guestOs' | 'guestVersion' | 'loader' | 'paeMode'>([
  [XEN_ELFNOTE_XEN_VERSION, 'xenVersion'],
  [XEN_ELFNOTE_GUEST_OS, 'guestOs'],
  [XEN_ELFNOTE_GUEST_VERSION, 'guestVersion'],
  [XEN_ELFNOTE_LOADER, 'loader'],
  [XEN_ELFNOTE_PAE_MODE, 'paeMode'],
]);

/**
 * Gathers a kernel's notes: ELF notes, else the `__xen_guest` section. As in Xen, the last note of a type wins.
 * @returns undefined if there are neither
 * @throws BadInputError for damaged notes and unknown required features
 */
export function readPvNotes(elf: ElfImage): PvNotes | undefined {
  const notes = xenNotes(elf);
  if (notes.length === 0) return guestInfoNotes(elf);
  const result = emptyNotes('ELF notes');
  const unknown: number[] = [];
  for (const note of notes) {
    if (!takeNote(result, note)) unknown.push(note.type);
  }
  result.unknown = unknown;
  return result;
}

function takeNote(notes: MutablePvNotes, note: ElfNote): boolean {
  const number = NUMBERS.get(note.type);
  if (number !== undefined) {
    notes[number] = numeric(note);
    return true;
  }
  const string = STRINGS.get(note.type);
  if (string !== undefined) {
    notes[string] = text(note);
    return true;
  }
  switch (note.type) {
    case XEN_ELFNOTE_FEATURES:
      takeFeatures(notes, text(note));
      return true;
    case XEN_ELFNOTE_SUPPORTED_FEATURES:
      if (note.descriptor.length % 4 === 0 && note.descriptor.length > 0) {
        notes.supportedFeatures = dataView(note).getUint32(0, true);
        notes.supported = (notes.supported | notes.supportedFeatures) >>> 0;
      }
      return true;
    case XEN_ELFNOTE_BSD_SYMTAB:
      notes.bsdSymtab = text(note) === 'yes';
      return true;
    case XEN_ELFNOTE_SUSPEND_CANCEL:
      notes.suspendCancel = numeric(note) !== 0n;
      return true;
    case XEN_ELFNOTE_MOD_START_PFN:
      notes.modStartPfn = numeric(note) !== 0n;
      return true;
    case XEN_ELFNOTE_L1_MFN_VALID:
      notes.l1MfnValid = maskPairs(note);
      return true;
    default:
      return false;
  }
}

const dataView = ({ descriptor: d }: ElfNote): DataView => new DataView(d.buffer, d.byteOffset, d.byteLength);

/** A number of 1, 2, 4 or 8 bytes; any other size is 0, as in Xen. */
function numeric(note: ElfNote): bigint {
  const view = dataView(note);
  switch (view.byteLength) {
    case 1:
      return BigInt(view.getUint8(0));
    case 2:
      return BigInt(view.getUint16(0, true));
    case 4:
      return BigInt(view.getUint32(0, true));
    case 8:
      return view.getBigUint64(0, true);
    default:
      return 0n;
  }
}

/** A string, with or without its NUL: assemblers often leave it to the padding. */
function text({ descriptor }: ElfNote): string {
  const end = descriptor.indexOf(0);
  return String.fromCharCode(...descriptor.subarray(0, Math.min(end < 0 ? descriptor.length : end, 4096)));
}

function maskPairs(note: ElfNote): { mask: bigint; value: bigint }[] {
  const view = dataView(note);
  const pairs: { mask: bigint; value: bigint }[] = [];
  for (let at = 0; at + 16 <= view.byteLength; at += 16) {
    pairs.push({ mask: view.getBigUint64(at, true), value: view.getBigUint64(at + 8, true) });
  }
  return pairs;
}
