import { beforeAll, describe, expect, it } from 'vitest';
import { Exit } from '../processor.js';
import { type FlatMachine, flatMachine } from '../testing/flat-machine.js';

const CODE = 0x1000;
const DATA = 0x4000;

describe('X86Processor', () => {
  let m: FlatMachine;
  beforeAll(async () => {
    m = await flatMachine();
  });
  const load = (...bytes: number[]): void => {
    m.cpu.resetState();
    m.write(CODE, bytes);
    m.cpu.regs.rip = BigInt(CODE);
    m.cpu.regs.gpr[4] = 0x8000n;
  };

  it('adds registers, counts instructions and stops at the budget', () => {
    // add rax, rbx; inc rcx; jmp $-?
    load(0x48, 0x01, 0xd8, 0x48, 0xff, 0xc1, 0xeb, 0xf8);
    m.cpu.regs.gpr[3] = 2n;
    expect(m.cpu.run(30)).toBe(Exit.budget);
    expect(m.cpu.retired).toBe(30);
    expect(m.cpu.regs.gpr[0]).toBe(20n);
    expect(m.cpu.regs.gpr[1]).toBe(10n);
    expect(m.cpu.regs.rip).toBe(BigInt(CODE));
    m.cpu.run(1);
    expect(m.cpu.regs.rip).toBe(BigInt(CODE + 3));
  });

  it('reads and writes memory, calls and returns', () => {
    // mov rdi, DATA; mov dword [rdi+4], 0x12345678; call +1; hlt; movzx eax, word [rdi+4]; ret
    load(
      0x48,
      0xc7,
      0xc7,
      0,
      0x40,
      0,
      0,
      0xc7,
      0x47,
      4,
      0x78,
      0x56,
      0x34,
      0x12,
      0xe8,
      1,
      0,
      0,
      0,
      0xf4,
      0x0f,
      0xb7,
      0x47,
      4,
      0xc3,
    );
    expect(m.cpu.run(100)).toBe(Exit.privileged);
    expect(m.cpu.privileged).toEqual({ op: 'hlt' });
    expect(m.cpu.retired).toBe(5);
    expect(m.cpu.regs.gpr[0]).toBe(0x5678n);
    expect(m.machine.view.getUint32(m.base + DATA + 4, true)).toBe(0x12345678);
  });

  it('reports page faults precisely', () => {
    // mov rax, [0x100000]
    load(0x48, 0x8b, 0x04, 0x25, 0, 0, 0x10, 0);
    expect(m.cpu.run(10)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.errorCode, m.cpu.cr2, m.cpu.retired]).toEqual([14, 4, 0x100000n, 0]);
    expect(m.cpu.regs.rip).toBe(BigInt(CODE));
  });

  it('fuses compare and branch without losing the count', () => {
    // mov ecx, 5; dec ecx; cmp ecx, 0; jne -8; hlt
    load(0xb9, 5, 0, 0, 0, 0xff, 0xc9, 0x83, 0xf9, 0, 0x75, 0xf9, 0xf4);
    expect(m.cpu.run(3)).toBe(Exit.budget);
    expect(m.cpu.regs.rip).toBe(BigInt(CODE + 10));
    expect(m.cpu.run(100)).toBe(Exit.privileged);
    expect(m.cpu.retired).toBe(13);
  });

  it('sees self-modifying code, in the next instruction too', () => {
    // mov byte [rip+0], 0x90 (writes the opcode that follows: hlt → nop); hlt; hlt
    load(0xc6, 0x05, 0, 0, 0, 0, 0x90, 0xf4, 0xf4);
    expect(m.cpu.run(100)).toBe(Exit.privileged);
    expect(m.cpu.retired).toBe(2);
    expect(m.cpu.regs.rip).toBe(BigInt(CODE + 8));
  });

  it('runs REP MOVS in bulk and counts each iteration', () => {
    load(0xf3, 0xa4, 0xf4);
    m.write(DATA, [1, 2, 3, 4, 5, 6, 7, 8]);
    const { gpr } = m.cpu.regs;
    gpr[6] = BigInt(DATA);
    gpr[7] = BigInt(DATA + 0x1ffc);
    gpr[1] = 8n;
    expect(m.cpu.run(3)).toBe(Exit.budget);
    expect(gpr[1]).toBe(5n);
    expect(m.cpu.run(100)).toBe(Exit.privileged);
    expect(m.cpu.retired).toBe(5);
    expect([...m.machine.bytes.subarray(m.base + DATA + 0x1ffc, m.base + DATA + 0x2004)]).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8,
    ]);
  });

  it('executes an instruction across two pages, and again when the second page changes', () => {
    load(0xf4);
    m.write(0x1ffe, [0xb8, 7]);
    m.write(0x2000, [0, 0, 0, 0xf4]);
    m.cpu.regs.rip = 0x1ffen;
    expect(m.cpu.run(10)).toBe(Exit.privileged);
    expect(m.cpu.regs.gpr[0]).toBe(7n);
    m.write(0x2000, [1]);
    m.cpu.regs.rip = 0x1ffen;
    m.cpu.run(10);
    expect(m.cpu.regs.gpr[0]).toBe(0x107n);
  });
});
