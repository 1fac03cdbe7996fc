import {
  GNTMAP_device_map,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_general_error,
  GNTST_okay,
  GTF_permit_access,
  GTF_reading,
  GTF_readonly,
  GTF_sub_page,
  GTF_type_mask,
  GTF_writing,
} from '@xenolith/xen-abi';

/**
 * How often a grant is in use, four byte-wide counters as in Xen (`GNTPIN_*`), so that one test sees any of them:
 *
 * ```
 * 31        24 23        16 15         8 7          0
 * ┌───────────┬────────────┬────────────┬───────────┐
 * │ device ro │ device rw  │  host ro   │  host rw  │
 * └───────────┴────────────┴────────────┴───────────┘
 * ```
 */
export const PIN = { hostWrite: 1, hostRead: 1 << 8, deviceWrite: 1 << 16, deviceRead: 1 << 24 } as const;
const WRITERS = 0x00ff_00ff;

/** The pins that a mapping with these `GNTMAP_*` flags holds. */
export function pinsOf(flags: number): number {
  const readonly = (flags & GNTMAP_readonly) !== 0;
  let pins = 0;
  if (flags & GNTMAP_device_map) pins += readonly ? PIN.deviceRead : PIN.deviceWrite;
  if (flags & GNTMAP_host_map) pins += readonly ? PIN.hostRead : PIN.hostWrite;
  return pins;
}

/** What Xen remembers of a grant while somebody uses it, whatever the granter does to the entry meanwhile. */
export class ActiveEntry {
  pin = 0;
  /** Who uses it. */
  domid = 0;
  mfn = 0;

  /** Whether `pins` more (at most one of each kind) keep every counter below 256: Xen stops at 128. */
  hasRoom(pins: number): boolean {
    return (this.pin & (pins << 7)) === 0;
  }

  get hasWriters(): boolean {
    return (this.pin & WRITERS) !== 0;
  }

  add(pins: number): void {
    this.pin = (this.pin + pins) >>> 0;
  }

  remove(pins: number): void {
    this.pin = (this.pin - pins) >>> 0;
  }
}

/** One version-1 entry in the granter's shared memory: u16 flags, u16 domid, u32 frame (public/grant_table.h). */
export class SharedEntry {
  constructor(
    private readonly view: DataView,
    private readonly at: number,
  ) {}

  get flags(): number {
    return this.view.getUint16(this.at, true);
  }

  set flags(value: number) {
    this.view.setUint16(this.at, value, true);
  }

  get frame(): number {
    return this.view.getUint32(this.at + 4, true);
  }

  /**
   * Notes the use in the entry's flags, where the granter sees it, if the entry allows it (`_set_status_v1`).
   * @param mapping false for a copy, which may use an entry with the sub-page flag
   */
  setStatus(active: ActiveEntry, user: number, readonly: boolean, mapping: boolean): number {
    const { flags } = this;
    const domid = this.view.getUint16(this.at + 2, true);
    const mask = mapping ? GTF_type_mask | GTF_sub_page : GTF_type_mask;
    if (active.pin === 0 && ((flags & mask) !== GTF_permit_access || domid !== user))
      return GNTST_general_error;
    if (!readonly && flags & GTF_readonly) return GNTST_general_error;
    this.flags = flags | GTF_reading | (readonly ? 0 : GTF_writing);
    return GNTST_okay;
  }

  /** Takes back what the remaining pins do not need (`reduce_status_for_pin`). */
  reduceStatus(active: ActiveEntry, readonly: boolean): void {
    let clear = active.pin === 0 ? GTF_reading : 0;
    if (!readonly && !active.hasWriters) clear |= GTF_writing;
    if (clear) this.flags = this.flags & ~clear;
  }

  write(flags: number, domid: number, frame: number): void {
    this.view.setUint32(this.at + 4, frame, true);
    this.view.setUint16(this.at + 2, domid, true);
    this.flags = flags;
  }

  swap(other: SharedEntry): void {
    const low = this.view.getUint32(this.at, true);
    const { frame } = this;
    this.view.setUint32(this.at, other.view.getUint32(other.at, true), true);
    this.view.setUint32(this.at + 4, other.frame, true);
    other.view.setUint32(other.at, low, true);
    other.view.setUint32(other.at + 4, frame, true);
  }
}
