import { GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly } from '@xenolith/xen-abi';

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

/** The bytes that a grant gives, and the grant that they come from: itself, or for a transitive one another's. */
export interface Granted {
  readonly mfn: number;
  /** The part of the page that copies may use; mappings are of whole pages only. */
  readonly start: number;
  readonly length: number;
  /** A sub-page grant, or a transitive one (which counts as such, so that it cannot be mapped). */
  readonly isSubPage: boolean;
  readonly fromDomid: number;
  readonly fromRef: number;
}

/** What Xen remembers of a grant while somebody uses it, whatever the granter does to the entry meanwhile. */
export class ActiveEntry {
  pin = 0;
  /** Who uses it. */
  domid = 0;
  granted: Granted = { mfn: 0, start: 0, length: 0, isSubPage: false, fromDomid: 0, fromRef: 0 };

  get mfn(): number {
    return this.granted.mfn;
  }

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

  /** Whether a further use, found by reading the entry anew, is of what is in use already. */
  agreesWith(granted: Granted): boolean {
    const own = this.granted;
    const same =
      own.mfn === granted.mfn && own.fromDomid === granted.fromDomid && own.fromRef === granted.fromRef;
    if (!same || !own.isSubPage) return same;
    return granted.isSubPage && own.start === granted.start && own.length === granted.length;
  }
}
