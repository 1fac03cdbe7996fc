/** A small generator whose numbers are the same everywhere: splitmix32 on a 32-bit state. */
export class Random {
  #state: number;

  constructor(seed: string) {
    // FNV-1a, so that every form has a sequence of its own and a new row changes no other.
    let hash = 0x811c9dc5;
    for (let i = 0; i < seed.length; i++) hash = Math.imul(hash ^ seed.charCodeAt(i), 0x01000193);
    this.#state = hash >>> 0;
  }

  /** 32 random bits. */
  u32(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }

  /** 0 … n − 1 */
  below(n: number): number {
    return this.u32() % n;
  }

  /** True once in n. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  /** A 64-bit value in which the borders of all operand sizes are likely. */
  interesting(): bigint {
    switch (this.below(8)) {
      case 0:
        return BigInt(this.below(4));
      case 1:
        return BigInt.asUintN(64, -BigInt(this.below(4)));
      case 2: {
        const power = 1n << BigInt(this.pick([7, 8, 15, 16, 31, 32, 63, this.below(64)]));
        return BigInt.asUintN(64, power - BigInt(this.below(3)) + 1n);
      }
      case 3:
        return this.u64() >> BigInt(this.below(64));
      case 4:
        return BigInt.asUintN(64, BigInt.asIntN(8 << this.below(3), this.u64()));
      default:
        return this.u64();
    }
  }
}
