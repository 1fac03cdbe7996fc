import {
  GNTST_general_error,
  GNTST_okay,
  GrantEntryV1,
  GrantEntryV2,
  GTF_permit_access,
  GTF_reading,
  GTF_readonly,
  GTF_sub_page,
  GTF_transitive,
  GTF_type_mask,
  GTF_writing,
} from '@xenolith/xen-abi';
import type { ActiveEntry } from './active-entry.js';

export type GrantVersion = 1 | 2;

/** A copy of an entry: the granter may change it at any time, so it is copied once, then checked, then used. */
export interface EntryCopy {
  readonly flags: number;
  readonly domid: number;
  /** 32 bits in version 1, 64 in version 2: a number of no frame when there is none. */
  readonly frame: number;
  /** Sub-page grants: the bytes that are granted. */
  readonly pageOffset: number;
  readonly length: number;
  /** Transitive grants: the grant that is passed on. */
  readonly throughDomid: number;
  readonly throughRef: number;
}

/**
 * One entry in the granter's memory. The uses of a grant are shown to the granter (`GTF_reading`, `GTF_writing`): in
 * version 1 in the entry's flags, in version 2 in a status word of its own.
 */
export class SharedEntry {
  constructor(
    private readonly view: DataView,
    readonly version: GrantVersion,
    private readonly at: number,
    /** Where its uses are shown. */
    private readonly statusAt: number,
  ) {}

  copy(): EntryCopy {
    if (this.version === 1) {
      const { flags, domid, frame } = GrantEntryV1.at(this.view, this.at);
      return { flags, domid, frame, pageOffset: 0, length: 0, throughDomid: 0, throughRef: 0 };
    }
    const { sub_page: page, transitive } = GrantEntryV2.at(this.view, this.at);
    return {
      flags: page.hdr.flags,
      domid: page.hdr.domid,
      frame: Number(page.frame),
      pageOffset: page.page_off,
      length: page.length,
      throughDomid: transitive.trans_domid,
      throughRef: transitive.gref,
    };
  }

  /**
   * Notes a use, if the entry allows it (`_set_status_v1`, `_set_status_v2`).
   * @param mapping false for a copy, which may also use sub-page and transitive grants
   */
  setStatus(
    entry: EntryCopy,
    active: ActiveEntry,
    user: number,
    readonly: boolean,
    mapping: boolean,
  ): number {
    const { flags, domid } = entry;
    const kind = flags & (mapping ? GTF_type_mask | GTF_sub_page : GTF_type_mask);
    const usable = kind === GTF_permit_access || (this.version === 2 && !mapping && kind === GTF_transitive);
    if (active.pin === 0 && (!usable || domid !== user)) return GNTST_general_error;
    if (!readonly && flags & GTF_readonly) return GNTST_general_error;
    this.status |= GTF_reading | (readonly ? 0 : GTF_writing);
    return GNTST_okay;
  }

  /** Takes back what the remaining pins do not need (`reduce_status_for_pin`). */
  reduceStatus(active: ActiveEntry, readonly: boolean): void {
    let clear = active.pin === 0 ? GTF_reading : 0;
    if (!readonly && !active.hasWriters) clear |= GTF_writing;
    if (clear) this.status &= ~clear;
  }

  get flags(): number {
    return this.view.getUint16(this.at, true);
  }

  set flags(value: number) {
    this.view.setUint16(this.at, value, true);
  }

  get frame(): number {
    return this.copy().frame;
  }

  set frame(mfn: number) {
    if (this.version === 1) GrantEntryV1.at(this.view, this.at).frame = mfn;
    else GrantEntryV2.at(this.view, this.at).full_page.frame = BigInt(mfn);
  }

  /** Makes it a grant of a whole page; the flags come last, as the entry is not valid before. */
  write(flags: number, domid: number, frame: number): void {
    this.frame = frame;
    this.view.setUint16(this.at + GrantEntryV1.offset.domid, domid, true);
    this.flags = flags;
  }

  /** GTF_reading and GTF_writing, among all flags in version 1. */
  get status(): number {
    return this.view.getUint16(this.statusAt, true);
  }

  set status(value: number) {
    this.view.setUint16(this.statusAt, value, true);
  }

  swap(other: SharedEntry): void {
    const words = this.version === 1 ? [0, 4] : [0, 4, 8, 12];
    for (const word of words) {
      const own = this.view.getUint32(this.at + word, true);
      this.view.setUint32(this.at + word, this.view.getUint32(other.at + word, true), true);
      this.view.setUint32(other.at + word, own, true);
    }
    if (this.version === 1) return;
    const own = this.status;
    this.status = other.status;
    other.status = own;
  }
}
