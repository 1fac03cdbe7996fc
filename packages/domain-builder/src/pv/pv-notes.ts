import { parseFeatures } from './features.js';

/** Where a kernel's notes came from: ELF notes, or the `__xen_guest` section of kernels before 2006. */
export type NoteSource = 'ELF notes' | '__xen_guest section';

/**
 * What a kernel says about itself to Xen (public/elfnote.h). A field that the kernel does not give is absent; the
 * defaults that Xen fills in are in {@link import('./kernel.js').PvKernel}. Numbers are unsigned 64-bit.
 */
export interface PvNotes {
  readonly source: NoteSource;
  readonly entry?: bigint;
  readonly hypercallPage?: bigint;
  readonly virtBase?: bigint;
  readonly paddrOffset?: bigint;
  readonly initP2m?: bigint;
  readonly hvStartLow?: bigint;
  readonly phys32Entry?: bigint;
  /** {mask, value} pairs that tell non-present L1 entries with valid mfns */
  readonly l1MfnValid?: readonly { mask: bigint; value: bigint }[];
  readonly xenVersion?: string;
  readonly guestOs?: string;
  readonly guestVersion?: string;
  readonly loader?: string;
  readonly paeMode?: string;
  readonly features?: string;
  /** Bit set of submap 0 as given by SUPPORTED_FEATURES alone. */
  readonly supportedFeatures?: number;
  readonly bsdSymtab: boolean;
  readonly suspendCancel: boolean;
  /** The kernel takes a ramdisk that no page table maps, as a pfn. */
  readonly modStartPfn: boolean;
  /** Union of FEATURES and SUPPORTED_FEATURES. */
  readonly supported: number;
  readonly required: number;
  /** Types of Xen notes that nothing here knows. */
  readonly unknown: readonly number[];
}

/** {@link PvNotes} while it is being gathered. */
export type MutablePvNotes = { -readonly [K in keyof PvNotes]: PvNotes[K] };

export function emptyNotes(source: NoteSource): MutablePvNotes {
  return {
    source,
    bsdSymtab: false,
    suspendCancel: false,
    modStartPfn: false,
    supported: 0,
    required: 0,
    unknown: [],
  };
}

/** Adds a feature string's features. */
export function takeFeatures(notes: MutablePvNotes, text: string): void {
  const { supported, required } = parseFeatures(text);
  notes.features = text;
  notes.supported = (notes.supported | supported) >>> 0;
  notes.required = (notes.required | required) >>> 0;
}
