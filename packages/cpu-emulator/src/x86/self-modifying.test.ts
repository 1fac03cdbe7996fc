import { PAGE_SIZE } from '@xenolith/mmu';
import { beforeEach, describe, expect, it } from 'vitest';
import { ENGINE } from '../core/record.js';
import { Exit } from '../processor.js';
import { type FlatMachine, flatMachine, hex, PTE, RWU } from '../testing/flat-machine.js';

const CODE = 0x1000;
const OTHER = 0x5000;
let m: FlatMachine;
beforeEach(async () => {
  m = await flatMachine(16);
});

/** Runs to the next HLT and returns RAX. */
function rax(): bigint {
  expect(m.cpu.run(100_000)).toBe(Exit.privileged);
  expect(m.cpu.privileged.op).toBe('hlt');
  return m.cpu.regs.gpr[0]!;
}
/** Calls the code at `at` (which ends with HLT). */
function call(at: number): bigint {
  m.cpu.regs.rip = BigInt(at);
  return rax();
}
const mov = (value: number): number[] => [0xb8, value, 0, 0, 0, 0xf4];

describe('self-modifying code', () => {
  it('in the same block, behind the store', () => {
    // mov byte [CODE + 9], 2; mov eax, 1 (whose immediate is written); hlt
    m.start('c6 04 25 09 10 00 00 02 b8 01 00 00 00 f4');
    expect(rax()).toBe(2n);
  });

  it('an instruction that overwrites itself finishes as it was, and is new the next time', () => {
    // mov byte [rip − 1], 7: its own immediate
    m.start('c6 05 ff ff ff ff 05 f4');
    rax();
    expect(m.machine.bytes[m.base + CODE + 6]).toBe(5);
    m.start('80 05 ff ff ff ff 05 f4'); // add byte [rip − 1], 5: its own immediate
    rax();
    call(CODE);
    expect(m.machine.bytes[m.base + CODE + 6]).toBe(20);
  });

  it('a loop that counts in its own immediate', () => {
    // mov ecx, 100; add eax, 1 (imm8 at CODE + 7); inc byte [CODE + 7]; dec ecx; jnz −14; hlt
    m.start('b9 64 00 00 00 83 c0 01 fe 04 25 07 10 00 00 ff c9 75 f2 f4');
    // 1 + 2 + … + 100
    expect(rax()).toBe(5050n);
    expect(m.cpu.retired).toBe(1 + 400);
  });

  it('in the same line but before the store, and in another line of the page', () => {
    m.start('90 90 b8 01 00 00 00 f4');
    expect(rax()).toBe(1n);
    // The store stands in the same line as what it changes, then in another one.
    for (const at of [CODE + 0x20, CODE + 0x800]) {
      m.write(at, hex(`fe 04 25 03 10 00 00 f4`));
      const before = call(CODE);
      call(at);
      expect(call(CODE)).toBe(before + 1n);
    }
  });

  it('data beside code is written without end to it', () => {
    // inc dword [CODE + 0x800]; dec ecx; jnz; hlt: the page holds code, the line does not
    m.start('ff 04 25 00 18 00 00 ff c9 75 f5 f4');
    m.cpu.regs.gpr[1] = 1000n;
    rax();
    expect(m.machine.view.getUint32(m.base + CODE + 0x800, true)).toBe(1000);
  });

  it('in another page, under another address too', () => {
    m.start('f4');
    m.write(OTHER, mov(1));
    expect(call(OTHER)).toBe(1n);
    // Page 9 is the same frame.
    m.pte(9, () => BigInt(m.base + OTHER) | RWU);
    m.start('c6 04 25 01 90 00 00 03 f4');
    rax();
    expect(call(OTHER)).toBe(3n);
    expect(call(0x9000)).toBe(3n);
    m.start('c6 04 25 01 50 00 00 04 f4');
    rax();
    expect(call(0x9000)).toBe(4n);
  });

  it('also when the page could be written before it held code', () => {
    // mov [rdi], al makes a write entry; then the page is executed, and written again.
    m.start('88 07 f4 88 07 f4');
    m.write(OTHER, mov(1));
    m.cpu.regs.gpr[7] = BigInt(OTHER + 1);
    m.cpu.regs.gpr[0] = 5n;
    rax();
    expect(call(OTHER)).toBe(5n);
    m.cpu.regs.gpr[0] = 6n;
    call(CODE + 3);
    expect(call(OTHER)).toBe(6n);
  });

  it('a chain of blocks that link to each other', () => {
    // jmp to a block in the page that jumps back to a HLT; its target instruction changes.
    m.start('eb 3e');
    m.write(CODE + 0x40, hex('b8 01 00 00 00 eb 39'));
    m.write(CODE + 0x80, hex('83 c0 10 f4'));
    expect(call(CODE)).toBe(0x11n);
    m.write(OTHER, hex('c6 04 25 82 10 00 00 20 f4'));
    call(OTHER);
    expect(call(CODE)).toBe(0x21n);
    m.write(OTHER, hex('c6 04 25 41 10 00 00 02 f4'));
    call(OTHER);
    expect(call(CODE)).toBe(0x22n);
  });

  it('an instruction in two pages, through either of them', () => {
    m.start('f4');
    m.write(0x6ffe, hex('b8 01'));
    m.write(0x7000, hex('00 00 00 f4'));
    expect(call(0x6ffe)).toBe(1n);
    m.write(OTHER, hex('c6 04 25 ff 6f 00 00 02 f4 c6 04 25 00 70 00 00 03 f4'));
    call(OTHER);
    expect(call(0x6ffe)).toBe(2n);
    call(OTHER + 9);
    expect(call(0x6ffe)).toBe(0x302n);
    // The second page becomes another frame, and absent.
    m.write(0x8000, hex('04 00 00 f4'));
    m.pte(7, () => BigInt(m.base + 0x8000) | RWU);
    expect(call(0x6ffe)).toBe(0x402n);
    m.pte(7, (e) => e & ~PTE.present);
    m.cpu.regs.rip = 0x6ffen;
    expect(m.cpu.run(5)).toBe(Exit.exception);
    expect([m.cpu.cr2, m.cpu.regs.rip, m.cpu.retired]).toEqual([0x7000n, 0x6ffen, 0]);
  });

  it('a store over two pages of code', () => {
    m.start('f4');
    m.write(0x6ffe, mov(1).slice(0, 2));
    m.write(0x7000, mov(1).slice(2));
    expect(call(0x6ffe)).toBe(1n);
    m.write(OTHER, hex('48 89 07 f4'));
    m.cpu.regs.gpr[7] = 0x6ffen;
    m.cpu.regs.gpr[0] = 0x0000_f400_0909_05b8n;
    call(OTHER);
    expect(call(0x6ffe)).toBe(0x090905n);
  });

  it.each([
    ['rep stosb', 'f3 aa f4', 0x90n, 1, 0x12],
    ['rep stosq', 'f3 48 ab f4', 0x9090_9090_9090_9090n, 8, 0x18],
  ])('%s over code, its own included', (_name, code, value, size, end) => {
    m.start(code);
    m.write(OTHER, mov(1));
    expect(call(OTHER)).toBe(1n);
    m.write(OTHER + 0x10, [0xf4]);
    const { gpr } = m.cpu.regs;
    gpr[0] = value;
    gpr[1] = BigInt(16 / size);
    gpr[7] = BigInt(OTHER);
    call(CODE);
    expect(call(OTHER)).toBe(value);
    expect(m.cpu.retired).toBe(16);
    // Up to the instruction itself, of which REP STOSB makes 90 AA F4, and REP STOSQ eight NOPs.
    m.write(CODE + 0x10, hex(code));
    m.write(CODE + 0x18, [0xf4]);
    gpr[0] = value;
    gpr[1] = BigInt(0x18 / size);
    gpr[7] = BigInt(CODE);
    call(CODE + 0x10);
    expect(m.cpu.regs.rip).toBe(BigInt(CODE + end));
    expect(m.machine.bytes[m.base + CODE + 0x10]).toBe(0x90);
  });

  it('a REP that overwrites itself goes on with what stands there then, however the run is cut', () => {
    for (const budget of [1, 100]) {
      m.start('90 f3 aa 90 90 f4'); // rep stosb of NOPs from its own first byte on
      const { gpr } = m.cpu.regs;
      gpr[0] = 0x90n;
      gpr[1] = 3n;
      gpr[7] = BigInt(CODE + 1);
      while (m.cpu.run(budget) === Exit.budget);
      // F3 90 would be PAUSE; the first iteration leaves 90 AA, a STOSB without REP.
      expect([gpr[1], gpr[7], m.cpu.regs.rip]).toEqual([2n, BigInt(CODE + 3), BigInt(CODE + 5)]);
    }
  });

  it('rep movsb from one piece of code over another, through a page that has none', () => {
    m.start('f3 a4 f4');
    m.write(OTHER, mov(1));
    m.write(0x3000, mov(8));
    expect(call(OTHER)).toBe(1n);
    const { gpr } = m.cpu.regs;
    gpr[1] = 6n;
    gpr[6] = 0x3000n;
    gpr[7] = BigInt(OTHER);
    call(CODE);
    expect(call(OTHER)).toBe(8n);
  });

  it('written by the host', () => {
    m.start('f4');
    m.write(OTHER, mov(1));
    expect(call(OTHER)).toBe(1n);
    m.machine.bytes[m.base + OTHER + 1] = 2;
    m.cpu.codeWritten(m.base + OTHER + 1, 1);
    expect(call(OTHER)).toBe(2n);
    // A range of many pages that has this one in its middle.
    m.machine.bytes[m.base + OTHER + 1] = 3;
    m.cpu.codeWritten(m.base + OTHER - 2 * PAGE_SIZE, 5 * PAGE_SIZE);
    expect(call(OTHER)).toBe(3n);
    m.cpu.codeWritten(m.base + OTHER, 0);
    expect(call(OTHER)).toBe(3n);
  });

  it('goes on when the code cache is full and all is dropped while it runs', () => {
    // A loop of 44 instructions that changes its first one in each round, so that each round is decoded anew:
    // mov r8b, imm8; 40 × add rax, rdx; inc byte [CODE + 2]; dec rcx; jnz
    const adds = '48 01 d0 '.repeat(40);
    m.start(`41 b0 00 ${adds} fe 04 25 02 10 00 00 48 ff c9 0f 85 75 ff ff ff f4`);
    const rounds = 30_000;
    m.cpu.regs.gpr[1] = BigInt(rounds);
    m.cpu.regs.gpr[2] = 1n;
    let retired = 0;
    let exit: number;
    do {
      exit = m.cpu.run(1_000_000);
      retired += m.cpu.retired;
    } while (exit === Exit.budget);
    expect(exit).toBe(Exit.privileged);
    expect(retired).toBe(rounds * 44);
    // It did fill the cache.
    expect(m.machine.view.getUint32(ENGINE.generation, true)).toBeGreaterThan(0);
    expect(m.cpu.regs.gpr[0]).toBe(BigInt(rounds * 40));
  });
});
