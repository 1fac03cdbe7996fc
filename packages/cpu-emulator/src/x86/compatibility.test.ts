import { beforeEach, describe, expect, it } from 'vitest';
import { Exit } from '../processor.js';
import { type FlatMachine, flatMachine } from '../testing/flat-machine.js';

const DATA = 0x4000;
let m: FlatMachine;
beforeEach(async () => {
  m = await flatMachine(32);
});

/** Starts 32-bit code with rsp at 0x8000 and rbx at data that holds an offset and a selector. */
function start(code: string): void {
  m.start(code);
  m.cpu.regs.long = false;
  m.write(DATA, [0x88, 0x77, 0x66, 0x55, 0x2b, 0, 0x11, 0x22]);
  m.cpu.regs.gpr[3] = BigInt(DATA);
  m.cpu.regs.selectors.set([0x10, 0x23, 0x2b, 0x33, 0x53, 0x63]);
}
const read32 = (at: number): number => m.machine.view.getUint32(m.base + at, true);

describe('segment registers in 32-bit code', () => {
  it('PUSH of all six', () => {
    start('06 0e 16 1e 0f a0 0f a8 f4');
    expect(m.cpu.run(10)).toBe(Exit.privileged);
    expect([1, 2, 3, 4, 5, 6].map((i) => read32(0x8000 - 4 * i))).toEqual([
      0x10, 0x23, 0x2b, 0x33, 0x53, 0x63,
    ]);
    expect(m.cpu.regs.gpr[4]).toBe(0x8000n - 24n);
  });

  it.each([
    ['07', 0],
    ['17', 2],
    ['1f', 3],
    ['0f a1', 4],
  ])('POP (%s) goes to the hypervisor with its selector', (code, segment) => {
    start(code);
    m.write(0x8000, [0x2b, 0, 0xff, 0xff]);
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    expect(m.cpu.privileged).toEqual({ op: 'loadSegment', segment, selector: 0x2b, popped: 4 });
  });

  it('POP of a null selector is done here, and wraps ESP', () => {
    start('1f f4');
    m.cpu.regs.gpr[4] = 0xdead_0000_8000n;
    m.write(0x8000, [3, 0, 0, 0]);
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    expect([m.cpu.retired, m.cpu.regs.selectors[3], m.cpu.regs.gpr[4]]).toEqual([1, 3, 0x8004n]);
  });

  it.each([
    ['c4 03', 0],
    ['c5 03', 3],
    ['0f b2 03', 2],
    ['0f b4 03', 4],
    ['0f b5 03', 5],
  ])('%s loads a far pointer through the hypervisor', (code, segment) => {
    start(code);
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    const loaded = { gpr: 0, value: 0x5566_7788n, operandSize: 4 };
    expect(m.cpu.privileged).toEqual({ op: 'loadSegment', segment, selector: 0x2b, popped: 0, loaded });
  });

  it('a far pointer with a null selector loads the general register here', () => {
    start('66 c5 03 f4');
    m.write(DATA, [0x88, 0x77, 0, 0]);
    m.cpu.regs.gpr[0] = 0x1234_0000n;
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    expect([m.cpu.regs.gpr[0], m.cpu.regs.selectors[3], m.cpu.retired]).toEqual([0x1234_7788n, 0, 1]);
  });

  it.each([
    ['ea 88 77 66 55 33 00', { op: 'farJump', operandSize: 4, offset: 0x5566_7788n, selector: 0x33 }],
    ['9a 88 77 66 55 33 00', { op: 'farCall', operandSize: 4, offset: 0x5566_7788n, selector: 0x33 }],
    ['66 ea 88 77 33 00', { op: 'farJump', operandSize: 2, offset: 0x7788n, selector: 0x33 }],
  ])('far pointer in the instruction: %s', (code, expected) => {
    start(code);
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    expect(m.cpu.privileged).toEqual({ ...expected, pop: 0 });
    expect(m.cpu.length).toBe(code.split(' ').length);
    expect(
      m.cpu.disassemble(Uint8Array.from(code.split(' ').map((b) => Number.parseInt(b, 16))), 0n, 32).text,
    ).toBe(`${expected.op === 'farCall' ? 'call' : 'jmp'} 0x33:0x${expected.offset.toString(16)}`);
  });
});

describe('16-bit addresses (67 in 32-bit code)', () => {
  const address = (): number => Number(m.cpu.regs.gpr[0]!);
  it.each([
    ['67 8d 00', 0x4030], // bx + si
    ['67 8d 01', 0x4040], // bx + di
    ['67 8d 42 fe', 0x7026], // bp + si - 2
    ['67 8d 83 00 f0', 0x6038], // bp + di + 0xf000 wraps
    ['67 8d 04', 0x28],
    ['67 8d 45 10', 0x48],
    ['67 8d 46 00', 0x7000],
    ['67 8d 07', 0x4008],
    ['67 8d 06 34 12', 0x1234],
    ['67 8d 87 ff bf', 7], // bx + 0xbfff wraps
  ])('%s', (code, expected) => {
    start(`${code} f4`);
    const { gpr } = m.cpu.regs;
    gpr[3] = 0xabcd_4008n;
    gpr[5] = 0xabcd_7000n;
    gpr[6] = 0xabcd_0028n;
    gpr[7] = 0xabcd_0038n;
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    expect(address()).toBe(expected);
  });

  it('loads and stores through them, with a segment’s base', () => {
    start('67 8b 07 65 67 89 47 02 f4'); // mov eax, [bx]; mov gs:[bx + 2], eax
    m.cpu.regs.gpr[3] = 0x7777_4000n;
    m.cpu.regs.gsBase = 0x100n;
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    expect([m.cpu.regs.gpr[0], read32(DATA + 0x102)]).toEqual([0x5566_7788n, 0x5566_7788]);
  });

  it('string instructions count in CX and point with SI and DI', () => {
    start('f3 67 a4 f4');
    const { gpr } = m.cpu.regs;
    gpr[1] = 0xaaaa_0003n;
    gpr[6] = 0xbbbb_4000n;
    gpr[7] = 0xcccc_5000n;
    expect(m.cpu.run(10)).toBe(Exit.privileged);
    expect([gpr[1], gpr[6], gpr[7]]).toEqual([0xaaaa_0000n, 0xbbbb_4003n, 0xcccc_5003n]);
    expect(read32(0x5000)).toBe(0x66_7788);
  });

  it('LOOP and JCXZ look at CX alone', () => {
    start('67 e2 01 f4 67 e3 01 f4 90 f4');
    m.cpu.regs.gpr[1] = 0x1234_0002n;
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    // Taken to the middle of JCXZ's prefix: e3 with ECX, which is not zero.
    expect([m.cpu.regs.gpr[1], m.cpu.regs.rip]).toEqual([0x1234_0001n, 0x1007n]);
    start('67 e3 01 f4 90 f4');
    m.cpu.regs.gpr[1] = 0x1234_0000n;
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    expect(m.cpu.regs.rip).toBe(0x1005n);
  });
});
