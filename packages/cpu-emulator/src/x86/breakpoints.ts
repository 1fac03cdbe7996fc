/** Kinds of breakpoints, as R/W in DR7 (Intel SDM volume 3, section 18.2.4); those on ports are the hypervisor's. */
const KIND = { execute: 0, write: 1, access: 3 } as const;
/** Bytes by LEN in DR7. */
const LENGTHS = [1n, 2n, 8n, 4n] as const;

interface Breakpoint {
  /** Its bit in DR6. */
  readonly bit: number;
  readonly kind: number;
  readonly address: bigint;
  readonly length: bigint;
}

/** What of DR0–DR3 and DR7 is enabled, and which of it was met. */
export class Breakpoints {
  #enabled: readonly Breakpoint[] = [];
  /** Bits of DR6 for data that was accessed since this was cleared. */
  accessed = 0;

  /** @param addresses DR0–DR3 @param control DR7 */
  set(addresses: ArrayLike<bigint>, control: number): void {
    this.#enabled = [0, 1, 2, 3]
      .filter((n) => (control >> (2 * n)) & 3)
      .map((n) => {
        const kind = (control >> (16 + 4 * n)) & 3;
        const length = LENGTHS[(control >> (18 + 4 * n)) & 3]!;
        return { bit: 1 << n, kind, length, address: addresses[n]! & -length };
      });
  }

  get any(): boolean {
    return this.#enabled.length > 0;
  }

  get watchesData(): boolean {
    return this.#enabled.some(({ kind }) => kind === KIND.write || kind === KIND.access);
  }

  /** Bits of DR6 for breakpoints on the instruction at `rip`. */
  at(rip: bigint): number {
    return this.#bits(({ kind, address }) => kind === KIND.execute && address === rip);
  }

  access(linear: bigint, size: number, write: boolean): void {
    const end = linear + BigInt(size);
    this.accessed |= this.#bits(
      ({ kind, address, length }) =>
        (kind === KIND.access || (kind === KIND.write && write)) &&
        address < end &&
        linear < address + length,
    );
  }

  #bits(matches: (breakpoint: Breakpoint) => boolean): number {
    return this.#enabled.reduce((bits, one) => (matches(one) ? bits | one.bit : bits), 0);
  }
}
