import { operandBytes } from '../../x86/operand.js';
import { floatBits } from './floats.js';
import type { Form } from './forms.js';
import type { Random } from './random.js';
import { type VectorState, WINDOW, WINDOW_SIZE } from './state.js';

export const isX87 = ({ encoded: { encoding } }: Form): boolean =>
  encoding.map === 0 && ((encoding.opcode >= 0xd8 && encoding.opcode <= 0xdf) || encoding.opcode === 0x9b);

/** Functions that processors compute to within one unit in the last place. */
export const TRANSCENDENTAL = /^(f2xm1|fyl2x|fyl2xp1|fptan|fpatan|fsin|fcos|fsincos)$/;

/** The x87 unit under any control word, its registers and the memory operand with values at the formats' borders. */
export function x87State(form: Form, random: Random, s: VectorState, target: number | undefined): void {
  const { name } = form.encoded.row;
  const masks = random.oneIn(3) ? random.below(64) : 0x3f & ~(random.oneIn(4) ? 1 << random.below(6) : 0);
  const precision = random.pick([0, 2, 3, 3, 3]);
  s.fcw = 0x40 | masks | (precision << 8) | (random.below(4) << 10);
  // Exceptions seen before are masked ones, so that none is pending, but now and then.
  const seen = random.oneIn(2) ? 0 : random.below(128);
  const pending = random.oneIn(40) ? ~masks & 0x3f : 0;
  const flags = (seen & (masks | 0x40)) | pending;
  s.fsw = flags | (flags & ~masks & 0x3f ? 0x8080 : 0) | (random.u32() & 0x7f00);
  s.ftw = random.oneIn(4) ? random.below(256) : random.oneIn(2) ? 0xff : 0x3c;
  if (random.oneIn(2)) s.ftw = 0xff & ~(1 << (((s.fsw >> 11) + 7) & 7));
  const near = name.startsWith('fprem') || name === 'fscale';
  for (let i = 0; i < 8; i++)
    putExtended(s, i, TRANSCENDENTAL.test(name) ? argument(name, random) : extended(random, near));
  if (target !== undefined) memoryOperand(form, random, s, target);
}

function putExtended(s: VectorState, i: number, v: bigint): void {
  for (let b = 0; b < 10; b++) s.st(i)[b] = Number((v >> BigInt(8 * b)) & 0xffn);
}

const LEADING = 1n << 63n;

function assemble(random: Random, exponent: number, significand: bigint): bigint {
  return ((random.oneIn(2) ? 0x8000n : 0n) << 64n) | (BigInt(exponent) << 64n) | significand;
}

function significand(random: Random): bigint {
  const v = random.pick([
    LEADING,
    LEADING | (BigInt(random.below(4)) << 61n),
    LEADING | BigInt(random.below(8)),
    (1n << 64n) - 1n - BigInt(random.below(4)),
    random.u64() | LEADING,
    random.u64() | LEADING,
    // Exactly representable, or ties, in the shorter formats.
    ((random.u64() >> 39n) << 39n) | LEADING,
    ((random.u64() >> 10n) << 10n) | LEADING,
  ]);
  return v;
}

/** Any register value: numbers near one another, the ends of the range, zeros, infinities, NaNs, denormals, unsupported ones. */
function extended(random: Random, near: boolean): bigint {
  const kind = random.below(near ? 20 : 12);
  switch (kind) {
    case 0:
      return assemble(random, 0, random.oneIn(2) ? 0n : random.u64() >> BigInt(random.below(64)));
    case 1:
      return assemble(random, 0x7fff, random.oneIn(2) ? LEADING : random.u64() | LEADING);
    case 2:
      return assemble(random, random.pick([0, 1, 0x7fff, 0x4000]), random.u64());
    case 3:
      return assemble(random, random.pick([1, 2, 3, 0x7ffc, 0x7ffd, 0x7ffe]), significand(random));
    case 4:
      // The ends of the single and double formats' ranges.
      return assemble(
        random,
        16383 +
          random.pick([-1074, -1023, -1022, 1023, 1024, -149, -127, -126, 127, 128]) +
          random.below(3) -
          1,
        significand(random),
      );
    case 5:
      // Integers of 16, 32 and 64 bits, and decimal ones.
      return assemble(random, 16383 + random.pick([14, 15, 30, 31, 62, 63, 58, 59, 60]), significand(random));
    case 6:
      return assemble(random, 16383 + random.below(8) - 4, significand(random));
    case 7:
      return assemble(random, 8192 + random.below(130) + (random.oneIn(2) ? 16320 : 0), significand(random));
    default:
      return assemble(random, 16383 + random.below(near ? 140 : 68), significand(random));
  }
}

/** An argument that a transcendental function is defined for. */
function argument(name: string, random: Random): bigint {
  if (random.oneIn(8)) return extended(random, false);
  const least = random.oneIn(4) ? 80 : 10;
  switch (name) {
    case 'f2xm1':
      return assemble(random, 16382 - random.below(least), significand(random));
    case 'fyl2xp1':
      return assemble(random, 16380 - random.below(least), significand(random));
    case 'fyl2x':
      return (
        assemble(random, 16383 + random.below(60) - 30, significand(random)) &
        ~(random.oneIn(8) ? 0n : 1n << 79n)
      );
    default:
      return assemble(random, 16383 + random.below(least) - (least >> 1), significand(random));
  }
}

function memoryOperand(
  { encoded: { encoding, row }, size }: Form,
  random: Random,
  s: VectorState,
  target: number,
): void {
  const spec = encoding.operands[0]!;
  const bytes = spec.size === '' ? 108 : operandBytes(spec.size, size);
  if (target + bytes > WINDOW + WINDOW_SIZE) return;
  const put = (at: number, v: bigint, length: number): void => {
    for (let i = 0; i < length; i++)
      s.memory[target + at - WINDOW + i] = Number((v >> BigInt(8 * i)) & 0xffn);
  };
  if (spec.size === '') {
    // An environment, and registers behind it.
    const wide = size === 2 ? 2 : 4;
    put(0, BigInt((random.u32() & 0x1f3f) | (random.oneIn(2) ? 0x3f : 0)), wide);
    put(wide, BigInt(random.u32() & 0xffff), wide);
    put(2 * wide, BigInt(random.u32() & 0xffff), wide);
    return;
  }
  if (row.name === 'fldcw') put(0, BigInt(random.u32() & 0x1f3f), 2);
  else if (row.name === 'fbld') {
    let digits = BigInt(random.below(2)) << 79n;
    for (let i = 0n; i < 18n; i++) digits |= BigInt(random.below(10)) << (4n * i);
    put(0, digits, 10);
  } else if (bytes === 10) put(0, extended(random, false), 10);
  else if (row.name.startsWith('fi') || bytes === 2) put(0, random.interesting(), bytes);
  else put(0, floatBits(random, bytes as 4 | 8), bytes);
}
