import { floatBits } from './floats.js';
import type { Form } from './forms.js';
import { inputsOf } from './inputs.js';
import { Random } from './random.js';
import type { VectorState } from './state.js';

/** Rows whose results or exceptions depend on MXCSR. */
export const FLOATING =
  /^(add|sub|mul|div|sqrt|min|max|cmp|hadd|hsub|addsub|dp|round|cvt)\w*[sp][sd]\w*$|^u?comi|^cvt/;

/** Inputs of a floating-point form under all of MXCSR's control bits, with operands at the formats' borders. */
export function mxcsrInputsOf(form: Form, count: number): VectorState[] {
  const random = new Random(`${form.key} mxcsr`);
  return inputsOf(form, count, `${form.key} mxcsr inputs`).map((s) => {
    s.mxcsr = mxcsr(random);
    const draw = random.pick([borders, borders, products, neighbours]);
    const width = random.pick([4, 8] as const);
    const fill = (view: DataView, at: number): void => {
      for (let i = 0; i < 16; i += width) {
        const bits = draw(random, width);
        if (width === 4) view.setUint32(at + i, Number(bits), true);
        else view.setBigUint64(at + i, bits, true);
      }
    };
    const { xmm, memory } = s;
    for (let i = 0; i < 16; i++) fill(new DataView(xmm.buffer, xmm.byteOffset + 16 * i, 16), 0);
    for (let i = 96; i < 272; i += 16) fill(new DataView(memory.buffer, memory.byteOffset + i, 16), 0);
    return s;
  });
}

/** Mostly with all exceptions masked, sometimes with few. */
function mxcsr(random: Random): number {
  const masks = random.oneIn(3) ? random.below(64) : 63 & ~(random.oneIn(4) ? 1 << random.below(6) : 0);
  const sticky = random.oneIn(3) ? 0 : random.oneIn(2) ? 0x20 : random.below(64);
  const control = (random.below(4) << 13) | (random.oneIn(3) ? 0x8000 : 0) | (random.oneIn(3) ? 0x40 : 0);
  return (masks << 7) | sticky | control;
}

interface Parts {
  fractionBits: number;
  bias: number;
}
const parts = (width: 4 | 8): Parts =>
  width === 4 ? { fractionBits: 23, bias: 127 } : { fractionBits: 52, bias: 1023 };

function assemble(random: Random, width: 4 | 8, biased: number, fraction: bigint): bigint {
  const { fractionBits, bias } = parts(width);
  const exponent = BigInt(Math.min(Math.max(biased, 0), 2 * bias + 1));
  const sign = random.oneIn(2) ? 1n << BigInt(8 * width - 1) : 0n;
  return sign | (exponent << BigInt(fractionBits)) | BigInt.asUintN(fractionBits, fraction);
}

/** Few bits at the ends, so that ties and exact results come about. */
function fraction(random: Random, width: 4 | 8): bigint {
  const { fractionBits } = parts(width);
  switch (random.below(4)) {
    case 0:
      return BigInt(random.below(4)) << BigInt(fractionBits - 2);
    case 1:
      return BigInt(random.below(8));
    case 2:
      return (1n << BigInt(fractionBits)) - 1n - BigInt(random.below(3));
    default:
      return random.u64();
  }
}

/** Denormals, the least and greatest numbers, infinities and NaNs, and what else the other vectors have. */
function borders(random: Random, width: 4 | 8): bigint {
  const { bias } = parts(width);
  switch (random.below(6)) {
    case 0:
      return assemble(random, width, 0, fraction(random, width));
    case 1:
      return assemble(random, width, random.below(4), fraction(random, width));
    case 2:
      return assemble(random, width, 2 * bias - random.below(3), fraction(random, width));
    case 3:
      return assemble(random, width, 2 * bias + 1, random.oneIn(2) ? 0n : fraction(random, width));
    default:
      return floatBits(random, width);
  }
}

/** Numbers whose products and quotients lie about the least and greatest ones, and half of each: square roots. */
function products(random: Random, width: 4 | 8): bigint {
  const { bias, fractionBits } = parts(width);
  const half = random.pick([-1, 1]) * (bias >> 1);
  const exponent = random.pick([half, half, random.pick([-bias, bias]), 0]);
  const spread = random.oneIn(2) ? 3 : fractionBits + 3;
  return assemble(
    random,
    width,
    bias + exponent + random.below(spread) - (spread >> 1),
    fraction(random, width),
  );
}

/** Numbers within a few times the precision of one another: sums are ties, cancel, or just do not. */
function neighbours(random: Random, width: 4 | 8): bigint {
  const { bias, fractionBits } = parts(width);
  const distance = random.pick([0, 1, fractionBits - 1, fractionBits, fractionBits + 1, fractionBits + 2]);
  return assemble(random, width, bias + 20 - distance, fraction(random, width));
}
