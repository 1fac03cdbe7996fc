import { beforeEach, describe, expect, it } from 'vitest';
import { Exit } from '../processor.js';
import { type FlatMachine, flatMachine } from '../testing/flat-machine.js';

const CODE = 0x1000n;
const MASKED = 0x1f80;
const ONE = 0x3ff0_0000_0000_0000n;
let m: FlatMachine;
beforeEach(async () => {
  m = await flatMachine(16);
});

const xmm = (): DataView => new DataView(m.cpu.regs.xmm.buffer, m.cpu.regs.xmm.byteOffset, 256);
const set = (register: number, low: bigint, high = 0n): void => {
  xmm().setBigUint64(16 * register, low, true);
  xmm().setBigUint64(16 * register + 8, high, true);
};
const low = (register: number): bigint => xmm().getBigUint64(16 * register, true);

describe('SIMD floating-point exceptions', () => {
  it('not masked: #XM in front of the instruction, whose flag alone is visible', () => {
    m.start('90 f2 0f 5e c1 90'); // divsd xmm0, xmm1
    set(0, ONE);
    set(1, 0n);
    m.cpu.regs.mxcsr = MASKED & ~0x200;
    expect(m.cpu.run(10)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.errorCode, m.cpu.retired]).toEqual([19, -1, 1]);
    expect([m.cpu.regs.rip, low(0), m.cpu.regs.mxcsr]).toEqual([CODE + 1n, ONE, 0x1d84]);
  });

  it('the next instruction runs as if nothing had been', () => {
    m.start('f2 0f 5e c1');
    set(0, ONE);
    m.cpu.regs.mxcsr = 0;
    m.cpu.run(10);
    m.start('f2 0f 58 c0 f4'); // addsd xmm0, xmm0
    set(0, ONE);
    expect(m.cpu.run(10)).toBe(Exit.privileged);
    expect(low(0)).toBe(0x4000_0000_0000_0000n);
  });

  it('what is found before the operation hides the other lanes’ results', () => {
    m.start('66 0f 5e c1'); // divpd: 1/3 is inexact, 1/0 is not masked
    set(0, ONE, ONE);
    set(1, 0x4008_0000_0000_0000n, 0n);
    m.cpu.regs.mxcsr = MASKED & ~0x200;
    m.cpu.run(1);
    expect([m.cpu.vector, m.cpu.regs.mxcsr]).toEqual([19, 0x1d84]);
  });

  it('a fault of the memory operand comes first', () => {
    m.start('f2 0f 5e 04 25 00 00 20 00');
    m.cpu.regs.mxcsr = 0;
    m.cpu.run(1);
    expect([m.cpu.vector, m.cpu.regs.mxcsr]).toEqual([14, 0]);
  });

  it('masked: sticky, until the program clears them', () => {
    m.start('f2 0f 5e c1 f2 0f 58 c2 f4');
    set(0, ONE);
    set(1, 0x4008_0000_0000_0000n);
    m.cpu.run(10);
    expect(m.cpu.regs.mxcsr).toBe(MASKED | 0x20);
  });
});

it.each([
  ['nearest', 0, 0x3fd5_5555_5555_5555n],
  ['down', 1, 0x3fd5_5555_5555_5555n],
  ['up', 2, 0x3fd5_5555_5555_5556n],
  ['to zero', 3, 0x3fd5_5555_5555_5555n],
])('1 / 3 rounds %s', (_name, control, expected) => {
  m.start('f2 0f 5e c1');
  set(0, ONE);
  set(1, 0x4008_0000_0000_0000n);
  m.cpu.regs.mxcsr = MASKED | (control << 13);
  m.cpu.run(1);
  expect(low(0)).toBe(expected);
});

it('flush to zero and denormals are zeros', () => {
  const tiny = 0x0010_0000_0000_0001n;
  const half = 0x3fe0_0000_0000_0000n;
  m.start('f2 0f 59 c1');
  set(0, tiny);
  set(1, half);
  m.cpu.regs.mxcsr = MASKED | 0x8000;
  m.cpu.run(1);
  expect([low(0), m.cpu.regs.mxcsr]).toEqual([0n, MASKED | 0x8030]);
  m.start('f2 0f 58 c1');
  set(0, 1n);
  set(1, 1n);
  m.cpu.regs.mxcsr = MASKED | 0x40;
  m.cpu.run(1);
  expect([low(0), m.cpu.regs.mxcsr]).toEqual([0n, MASKED | 0x40]);
});
