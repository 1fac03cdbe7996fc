import { beforeAll, describe, expect, it } from 'vitest';
import { Exit } from '../processor.js';
import { type FlatMachine, flatMachine } from '../testing/flat-machine.js';
import { FLAG } from './state.js';

const RF = BigInt(FLAG.rf);
const TF = BigInt(FLAG.tf);
const DB = 1;
const STEP = 0x4000;
/** DR7: breakpoint n of this kind and LEN enabled. */
const enable = (n: number, kind: number, length: number): number =>
  (1 << (2 * n)) | (kind << (16 + 4 * n)) | (length << (18 + 4 * n));
const EXECUTE = 0;
const WRITE = 1;
const ACCESS = 3;
const [BYTE, WORD, QUAD, LONG] = [0, 1, 2, 3] as const;

let m: FlatMachine;
beforeAll(async () => {
  m = await flatMachine();
});

/** Runs to the next exit: its kind, with vector and status of an exception, and where it stopped. */
function run(budget = 1000) {
  const exit = m.cpu.run(budget);
  const what = exit === Exit.exception ? [m.cpu.vector, m.cpu.debugStatus] : exit;
  return [what, Number(m.cpu.regs.rip)];
}

function start(code: string, addresses: number[], control: number): void {
  m.start(code);
  const dr = new BigUint64Array(4);
  addresses.forEach((address, n) => {
    dr[n] = BigInt(address);
  });
  m.cpu.setBreakpoints(dr, control);
}

// Intel SDM volume 3, section 18.3.1 (18.2 in older editions); AMD64 APM volume 2, section 13.1.
describe('breakpoints on instructions', () => {
  it('are faults in front of them, without RF; RF lets one instruction through and is cleared by it', () => {
    // 1000 nop; 1001 nop; 1002 jmp 1001
    start('90 90 eb fd', [0, 0x1001], enable(1, EXECUTE, BYTE));
    expect(run()).toEqual([[DB, 2], 0x1001]);
    expect(m.cpu.retired).toBe(1);
    expect(m.cpu.regs.rflags & RF).toBe(0n);
    expect(run()).toEqual([[DB, 2], 0x1001]);
    m.cpu.regs.rflags |= RF;
    // Through 1001 and the jump, and back.
    expect(run()).toEqual([[DB, 2], 0x1001]);
    expect(m.cpu.retired).toBe(2);
    m.cpu.setBreakpoints(new BigUint64Array(4), 0);
    expect(run(1000)[0]).toBe(Exit.budget);
  });

  it('keep budgets exact', () => {
    start('90 eb fd', [0x2000], enable(0, EXECUTE, BYTE));
    expect(run(777)[0]).toBe(Exit.budget);
    expect(m.cpu.retired).toBe(777);
  });
});

describe('breakpoints on data', () => {
  it.each([
    ['a store to a byte of it', '88 04 25 07 30 00 00', 0x3004, WRITE, LONG, true],
    ['a store beside it', '88 04 25 08 30 00 00', 0x3004, WRITE, LONG, false],
    ['a store that reaches into it', '48 89 04 25 fa 2f 00 00', 0x3001, WRITE, BYTE, true],
    ['a load from it', '8a 04 25 04 30 00 00', 0x3004, WRITE, LONG, false],
    ['a load, when reads count', '8a 04 25 04 30 00 00', 0x3004, ACCESS, LONG, true],
    ['an address that is not aligned', '88 04 25 00 30 00 00', 0x3003, ACCESS, LONG, true],
    ['eight bytes', '88 04 25 0f 30 00 00', 0x3008, WRITE, QUAD, true],
    ['two bytes', '88 04 25 0f 30 00 00', 0x300e, WRITE, WORD, true],
    ['a push', '50', 0x7ff8, WRITE, QUAD, true],
    ['an addition in memory', '48 01 04 25 08 30 00 00', 0x300c, ACCESS, BYTE, true],
    ['SSE', '0f 11 04 25 00 30 00 00', 0x300f, WRITE, BYTE, true],
  ])('%s', (_, code, address, kind, length, hits) => {
    start(`${code} 90 eb fe`, [0, 0, 0, address], enable(3, kind, length));
    const behind = 0x1000 + code.split(' ').length;
    expect(run(20)).toEqual(hits ? [[DB, 8], behind] : [Exit.budget, behind + 1]);
  });

  it('tell of accesses after which translations were known, and are not told of an access that faults', () => {
    // 1000 mov [3000],al; 1007 mov [f0000],al
    const code = '88 04 25 00 30 00 00 88 04 25 00 00 0f 00';
    start(code, [], 0);
    expect(run()[1]).toBe(0x1007);
    expect(m.cpu.vector).toBe(14);
    start(code, [0x3000, 0xf0000], enable(0, WRITE, BYTE) | enable(1, WRITE, BYTE));
    expect(run()).toEqual([[DB, 1], 0x1007]);
    m.cpu.run(10);
    expect([m.cpu.vector, m.cpu.cr2]).toEqual([14, 0xf0000n]);
  });

  it('stop a repeated string instruction behind the element', () => {
    // rep stosb
    start('f3 aa 90 eb fe', [0x3010], enable(0, WRITE, BYTE));
    m.cpu.regs.gpr[7] = 0x3000n;
    m.cpu.regs.gpr[1] = 0x100n;
    expect(run()).toEqual([[DB, 1], 0x1000]);
    expect([m.cpu.regs.gpr[7], m.cpu.regs.gpr[1]]).toEqual([0x3011n, 0xefn]);
  });

  it('come with a single step in one exception', () => {
    start('88 04 25 00 30 00 00', [0x3000], enable(0, WRITE, BYTE));
    m.cpu.regs.rflags |= TF;
    expect(run()).toEqual([[DB, 1 | STEP], 0x1007]);
  });
});

describe('other debug exceptions', () => {
  it('INT1 is a trap that says nothing in DR6', () => {
    start('f1 90', [], 0);
    expect(run()).toEqual([[DB, 0], 0x1001]);
  });

  it.each([
    ['a page fault', 'a0 00 00 0f 00 00 00 00 00', 14],
    ['an invalid instruction', '0f 0b', 6],
    ['a privileged one', 'f4', undefined],
  ])('%s sets RF in what its handler finds', (_, code, vector) => {
    start(code, [], 0);
    m.cpu.regs.rflags &= ~RF;
    const exit = m.cpu.run(10);
    expect(exit === Exit.exception ? m.cpu.vector : undefined).toBe(vector);
    expect(m.cpu.regs.rflags & RF).toBe(RF);
  });
});
