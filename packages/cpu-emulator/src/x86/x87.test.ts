import { beforeEach, describe, expect, it } from 'vitest';
import { Exit } from '../processor.js';
import { type FlatMachine, flatMachine } from '../testing/flat-machine.js';

const DATA = 0x4000;
let m: FlatMachine;
beforeEach(async () => {
  m = await flatMachine(16);
});

const view = (): DataView => new DataView(m.machine.bytes.buffer, m.machine.bytes.byteOffset + m.base);
const word = (at: number): number => view().getUint16(at, true);
/** Code with FXSAVE to DATA and HLT behind it. */
const run = (code: string): void => {
  m.start(`${code} 0f ae 04 25 00 40 00 00 f4`);
  m.cpu.regs.gpr[3] = BigInt(DATA + 0x400);
  expect(m.cpu.run(100)).toBe(Exit.privileged);
};
/** ST(n) of the image: exponent word and significand. */
const st = (n: number): [number, bigint] => [
  word(DATA + 32 + 16 * n + 8),
  view().getBigUint64(DATA + 32 + 16 * n, true),
];

describe('exceptions that are not masked', () => {
  const UNMASK_ZE = [0x7b, 0x03];
  /** FLD1; FLDZ; FDIVP with division by zero not masked. */
  const DIVIDE = 'd9 2b d9 e8 d9 ee de f9';

  it('are pending until the next instruction that waits, which raises #MF', () => {
    m.start(`${DIVIDE} 90 d9 e8`);
    m.cpu.regs.gpr[3] = BigInt(DATA);
    m.write(DATA, UNMASK_ZE);
    expect(m.cpu.run(100)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.errorCode, m.cpu.retired]).toEqual([16, -1, 5]);
    expect(m.cpu.regs.rip).toBe(0x1009n);
  });

  it.each([
    ['fwait', '9b', 16],
    ['an MMX instruction', '0f fc c1', 16],
    ['emms', '0f 77', 16],
    ['fldcw', 'd9 2b', 16],
    ['fnstsw', 'df e0', 'runs'],
    ['fnclex', 'db e2', 'runs'],
    ['fninit', 'db e3', 'runs'],
    ['an SSE instruction', '0f 58 c1', 'runs'],
  ])('%s', (_name, code, outcome) => {
    m.start(`${DIVIDE} ${code} f4`);
    m.cpu.regs.gpr[3] = BigInt(DATA);
    m.write(DATA, UNMASK_ZE);
    const exit = m.cpu.run(100);
    expect(exit === Exit.exception ? m.cpu.vector : 'runs').toBe(outcome);
  });

  it('end with FNCLEX, and begin with an FLDCW that takes the mask away', () => {
    m.start('d9 e8 d9 ee de f9 d9 2b 9b');
    m.cpu.regs.gpr[3] = BigInt(DATA);
    m.write(DATA, UNMASK_ZE);
    expect(m.cpu.run(100)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.retired]).toEqual([16, 4]);
    m.start('db e2 9b f4');
    m.machine.view.setUint16(m.base + DATA, 0, true);
    expect(m.cpu.run(100)).toBe(Exit.privileged);
  });
});

describe('images', () => {
  it('FXSAVE has ST(0) first, and one bit for each physical register in use', () => {
    run('d9 e8 d9 eb'); // fld1; fldpi
    expect([word(DATA), word(DATA + 2), word(DATA + 4)]).toEqual([0x37f, 6 << 11, 0xc0]);
    expect(st(0)).toEqual([0x4000, 0xc90f_daa2_2168_c235n]);
    expect(st(1)).toEqual([0x3fff, 1n << 63n]);
    expect(st(2)).toEqual([0, 0n]);
  });

  it('an MMX register is the significand of the physical register, and the top becomes 0', () => {
    m.start('d9 e8 0f 6e c8 0f ae 04 25 00 40 00 00 f4'); // fld1; movd mm1, eax
    m.cpu.regs.gpr[0] = 0x1234_5678n;
    expect(m.cpu.run(100)).toBe(Exit.privileged);
    expect([word(DATA + 2), word(DATA + 4)]).toEqual([0, 0xff]);
    expect(st(1)).toEqual([0xffff, 0x1234_5678n]);
    // FLD1 had gone to R7.
    expect(st(7)).toEqual([0x3fff, 1n << 63n]);
  });

  it('FXRSTOR brings back what FXSAVE stored', () => {
    run('d9 e8 d9 eb');
    const image = m.machine.bytes.slice(m.base + DATA, m.base + DATA + 512);
    m.start('db e3 0f ae 0c 25 00 40 00 00 0f ae 04 25 00 50 00 00 f4');
    expect(m.cpu.run(100)).toBe(Exit.privileged);
    expect(m.machine.bytes.slice(m.base + 0x5000, m.base + 0x5200)).toEqual(image);
  });

  it('loadFxImage takes an image of FXSAVE', () => {
    run('d9 e8 d9 eb 0f 28 ca');
    const image = m.machine.bytes.slice(m.base + DATA, m.base + DATA + 512);
    image.set([1, 2, 3, 4], 160);
    m.cpu.resetState();
    m.cpu.regs.loadFxImage(image);
    m.write(0x1000, [0x0f, 0xae, 0x04, 0x25, 0, 0x50, 0, 0]);
    m.cpu.regs.rip = 0x1000n;
    m.cpu.run(1);
    expect(m.machine.bytes.slice(m.base + 0x5000, m.base + 0x5200)).toEqual(image);
  });

  it('FXRSTOR of an unmasked exception makes it pending', () => {
    run('d9 e8 d9 ee de f9');
    view().setUint16(DATA, 0x37b, true);
    m.start('0f ae 0c 25 00 40 00 00 9b');
    expect(m.cpu.run(100)).toBe(Exit.exception);
    expect(m.cpu.vector).toBe(16);
  });

  it('FNSAVE and FRSTOR, and FNSAVE leaves the unit as FNINIT does', () => {
    // fld1; fldz; fnsave [rbx]; fnstcw, fnstsw [rdx]; frstor [rbx]
    m.start('d9 e8 d9 ee dd 33 d9 3a dd 7a 02 dd 23 0f ae 04 25 00 40 00 00 f4');
    m.cpu.regs.gpr[3] = BigInt(DATA + 0x400);
    m.cpu.regs.gpr[2] = BigInt(DATA + 0x600);
    expect(m.cpu.run(100)).toBe(Exit.privileged);
    expect([word(DATA + 0x600), word(DATA + 0x602)]).toEqual([0x37f, 0]);
    // Tags: R7 valid, R6 zero, the rest empty.
    expect([word(DATA + 0x402), word(DATA + 0x408)]).toEqual([0xffff, 0x1fff]);
    expect(word(DATA + 4)).toBe(0xc0);
    expect([st(0), st(1)]).toEqual([
      [0, 0n],
      [0x3fff, 1n << 63n],
    ]);
  });

  it('a fault in the middle of FNSAVE leaves memory and the unit as they were', () => {
    m.start('d9 e8 dd 33');
    m.cpu.regs.gpr[3] = BigInt(0x10000 - 50);
    expect(m.cpu.run(100)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.retired, word(0x10000 - 50)]).toEqual([14, 1, 0]);
  });
});

it('#NM while TS is set', () => {
  m.start('d9 e8');
  m.cpu.taskSwitched = true;
  expect(m.cpu.run(1)).toBe(Exit.exception);
  expect(m.cpu.vector).toBe(7);
});
