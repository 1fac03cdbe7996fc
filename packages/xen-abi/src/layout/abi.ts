/**
 * What a guest's C compiler and machine word decide about a layout.
 * Xen's public headers are compiled by each guest for itself, so one declaration has one layout per ABI.
 */
export interface Abi {
  readonly name: string;
  /** Bytes in an `unsigned long`, a pointer and a guest handle. */
  readonly wordSize: 4 | 8;
  /** Alignment of a 64-bit integer in a struct, in bytes (4 in the i386 System V ABI). */
  readonly u64Align: 4 | 8;
}

/** 64-bit x86 guests (System V AMD64 ABI). The default of every layout. */
export const x86_64: Abi = { name: 'x86_64', wordSize: 8, u64Align: 8 };

/** 32-bit x86 guests (System V i386 ABI): Xen's "compat" layouts. */
export const x86_32: Abi = { name: 'x86_32', wordSize: 4, u64Align: 4 };
