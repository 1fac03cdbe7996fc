/** Numbers from a seed: xorshift of 32 bits after a splitmix step, so that neighbouring seeds are not alike. */
export class Random {
  private state: number;

  constructor(seed: number) {
    let z = (Math.imul(seed, 0x9e37_79b9) + 0x6d2b_79f5) | 0;
    z = Math.imul(z ^ (z >>> 15), 0x85eb_ca6b);
    this.state = (z ^ (z >>> 13)) >>> 0 || 1;
  }

  /** 0 … 2^32 − 1 */
  u32(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  /** 0 … n − 1 */
  below(n: number): number {
    return this.u32() % n;
  }

  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  /** One of the choices, each as often as its weight says. */
  weighted<T>(choices: readonly (readonly [weight: number, choice: T])[]): T {
    let left = this.below(choices.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, choice] of choices) {
      if (left < weight) return choice;
      left -= weight;
    }
    throw new RangeError('There is nothing to choose from.');
  }
}
