/** Bits of `trap_info.flags` (arch-x86/xen.h): DPL in bits 0–1, bit 2 "mask events on entry". */
const TI_DPL = 3;
const TI_IF = 4;

/** A PV vCPU's virtual IDT: for each vector the handler's address (0: none), its code selector and flags. */
export class TrapTable {
  readonly address = new BigUint64Array(256);
  readonly cs = new Uint16Array(256);
  readonly flags = new Uint8Array(256);

  set(vector: number, address: bigint, cs: number, flags: number): void {
    this.address[vector] = address;
    this.cs[vector] = cs;
    this.flags[vector] = flags;
  }

  clear(): void {
    this.address.fill(0n);
    this.cs.fill(0);
    this.flags.fill(0);
  }

  /** The privilege that `INT vector` needs at most, 0 … 3. */
  dpl(vector: number): number {
    return this.flags[vector]! & TI_DPL;
  }

  masksEvents(vector: number): boolean {
    return (this.flags[vector]! & TI_IF) !== 0;
  }
}
