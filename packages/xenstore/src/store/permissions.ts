import { XenstoreError } from '../errors.js';

/** `n` none, `r` read, `w` write, `b` both. */
export type Access = 'n' | 'r' | 'w' | 'b';

/** Who may do what with a node. The first entry names the owner, and what all who are not listed may do. */
export interface Permission {
  domid: number;
  access: Access;
}

/** Bits of what somebody may do. */
export const READ = 1;
export const WRITE = 2;
export const OWNER = 4;

const bits: Record<Access, number> = { n: 0, r: READ, w: WRITE, b: READ | WRITE };

export function accessBits(access: Access): number {
  return bits[access];
}

export function formatPermission(permission: Permission): string {
  return `${permission.access}${permission.domid | 0}`;
}

/**
 * Reads one permission as xenstored does: a letter and a number as C's `strtol(…, 0)` takes it.
 * @throws XenstoreError EINVAL
 */
export function parsePermission(text: string): Permission {
  const match = /^([nrwb])\s*([-+]?)(?:(0[xX][0-9a-fA-F]+)|(0[0-7]*)|([1-9]\d*))$/.exec(text);
  if (!match) throw new XenstoreError('EINVAL', `${text} is no permission.`);
  const [, access, sign, hex, octal, decimal] = match;
  const magnitude = hex ? Number(hex) : octal ? Number.parseInt(octal, 8) : Number(decimal);
  return { access: access as Access, domid: (sign === '-' ? -magnitude : magnitude) >>> 0 };
}
