import { FAULT_FOREIGN, FRAME, MMU, PAGE_SIZE } from '@xenolith/mmu';
import { beforeEach, describe, expect, it } from 'vitest';
import { Exit } from '../processor.js';
import { type FlatMachine, flatMachine, PTE, RWU } from '../testing/flat-machine.js';

/** mov rax, [rdi] / mov [rdi], rax / add [rdi], rax / jmp rdi, each with a HLT behind. */
const READ = '48 8b 07 f4';
const WRITE = '48 89 07 f4';
const MODIFY = '48 01 07 f4';
const JUMP = 'ff e7';
const CODE = 0x1000;
const DATA = 0x4000;
const PAGE = DATA >> 12;

let m: FlatMachine;
beforeEach(async () => {
  m = await flatMachine(16, 1100);
});

/** Runs code with RDI set and returns the fault, or 'ok'. */
function outcome(code: string, rdi: bigint | number): unknown {
  m.start(code);
  m.cpu.regs.gpr[7] = BigInt.asUintN(64, BigInt(rdi));
  const exit = m.cpu.run(10);
  if (exit === Exit.privileged) return 'ok';
  const { vector, errorCode, cr2, retired } = m.cpu;
  if (exit !== Exit.exception) return exit;
  return vector === 14 ? { code: errorCode, cr2, retired } : { vector, errorCode, retired };
}

const fault = (code: number, cr2: bigint | number, retired = 0): object => ({
  code,
  cr2: BigInt(cr2),
  retired,
});

describe('page faults', () => {
  it.each([
    ['read of an absent page', READ, (e: bigint) => e & ~PTE.present, 0x4],
    ['write to an absent page', WRITE, (e: bigint) => e & ~PTE.present, 0x6],
    ['read-modify-write of an absent page', MODIFY, (e: bigint) => e & ~PTE.present, 0x6],
    ['write to a read-only page', WRITE, (e: bigint) => e & ~PTE.write, 0x7],
    ['read-modify-write of a read-only page', MODIFY, (e: bigint) => e & ~PTE.write, 0x7],
    ['read of a supervisor page', READ, (e: bigint) => e & ~PTE.user, 0x5],
    ['write to a supervisor page', WRITE, (e: bigint) => e & ~PTE.user, 0x7],
    ['read through an entry with reserved bits', READ, (e: bigint) => e | (1n << 51n), 0xd],
    ['write through an entry with reserved bits', WRITE, (e: bigint) => e | (1n << 51n), 0xf],
  ])('%s', (_name, code, change, errorCode) => {
    m.pte(PAGE, change);
    expect(outcome(code, DATA + 8)).toEqual(fault(errorCode, DATA + 8));
    expect(m.cpu.regs.rip).toBe(BigInt(CODE));
    expect(m.pte(PAGE) & (PTE.accessed | PTE.dirty)).toBe(0n);
  });

  it.each([
    ['absent', (e: bigint) => e & ~PTE.present, 0x14],
    ['no-execute', (e: bigint) => e | PTE.noExecute, 0x15],
    ['supervisor', (e: bigint) => e & ~PTE.user, 0x15],
    ['reserved', (e: bigint) => e | (1n << 51n), 0x1d],
  ])('fetch from a page that is %s', (_name, change, errorCode) => {
    m.write(DATA, [0xf4]);
    m.pte(PAGE, change);
    // The jump itself retires; its target faults.
    expect(outcome(JUMP, DATA)).toEqual(fault(errorCode, DATA, 1));
    expect(m.cpu.regs.rip).toBe(BigInt(DATA));
    m.pte(PAGE, () => BigInt(m.base + DATA) | RWU);
    expect(outcome(JUMP, DATA)).toBe('ok');
  });

  it('a no-execute page can be read and written', () => {
    m.pte(PAGE, (e) => e | PTE.noExecute);
    expect(outcome(READ, DATA)).toBe('ok');
    expect(outcome(WRITE, DATA)).toBe('ok');
  });

  it('each level takes rights away, and none gives them back', () => {
    for (const table of [m.tables.l4, m.tables.l3, m.tables.l2]) {
      const entry = m.machine.view.getBigUint64(table, true);
      const set = (v: bigint): void => {
        m.machine.view.setBigUint64(table, v, true);
        m.cpu.flushAll();
      };
      set(entry & ~PTE.write);
      expect(outcome(READ, DATA)).toBe('ok');
      expect(outcome(WRITE, DATA)).toEqual(fault(7, DATA));
      set(entry & ~PTE.user);
      expect(outcome(READ, DATA)).toEqual(fault(0x15, CODE));
      set(entry | PTE.noExecute);
      expect(outcome(READ, DATA)).toEqual(fault(0x15, CODE));
      set(entry & ~PTE.present);
      expect(outcome(READ, DATA)).toEqual(fault(0x14, CODE));
      set(entry);
      expect(outcome(WRITE, DATA)).toBe('ok');
    }
  });

  it('a supervisor may write read-only pages only without CR0.WP', () => {
    m.pte(PAGE, (e) => e & ~PTE.write & ~PTE.user);
    m.machine.view.setUint32(MMU.user, 0, true);
    expect(outcome(READ, DATA)).toBe('ok');
    expect(outcome(WRITE, DATA)).toEqual(fault(3, DATA));
    m.machine.view.setUint32(MMU.writeProtect, 0, true);
    expect(outcome(WRITE, DATA)).toBe('ok');
  });
});

describe('accessed and dirty', () => {
  const bits = (at: number): bigint => m.machine.view.getBigUint64(at, true) & (PTE.accessed | PTE.dirty);

  it('are set by the access that architecture says, in the entries that it used', () => {
    const leaf = m.entry(PAGE).address;
    expect(bits(leaf)).toBe(0n);
    outcome(READ, DATA);
    expect(bits(leaf)).toBe(PTE.accessed);
    outcome(WRITE, DATA);
    expect(bits(leaf)).toBe(PTE.accessed | PTE.dirty);
    // Only leaves have a dirty bit; the code page was fetched, never written.
    for (const table of [m.tables.l4, m.tables.l3, m.tables.l2]) expect(bits(table)).toBe(PTE.accessed);
    expect(bits(m.entry(CODE >> 12).address)).toBe(PTE.accessed);
    expect(bits(m.entry(PAGE + 1).address)).toBe(0n);
  });

  it('come back after they were cleared and the page was flushed, not before', () => {
    outcome(WRITE, DATA);
    const leaf = m.entry(PAGE).address;
    const clear = (): void =>
      m.machine.view.setBigUint64(leaf, m.pte(PAGE) & ~(PTE.accessed | PTE.dirty), true);
    clear();
    outcome(WRITE, DATA);
    expect(bits(leaf)).toBe(0n);
    m.cpu.flushPage(BigInt(DATA));
    outcome(WRITE, DATA);
    expect(bits(leaf)).toBe(PTE.accessed | PTE.dirty);
  });

  it('a failing CMPXCHG writes too', () => {
    m.write(DATA, [1]);
    outcome('48 0f b1 07 f4', DATA); // cmpxchg [rdi], rax
    expect(bits(m.entry(PAGE).address)).toBe(PTE.accessed | PTE.dirty);
  });
});

describe('large pages', () => {
  it('2 MiB pages reach every frame in them, at the level that says so', () => {
    const { machine, tables } = m;
    const big = Math.ceil(machine.firstFrame / 512) * 512;
    expect(big + 512).toBeLessThanOrEqual(machine.frames);
    machine.view.setBigUint64(tables.l2 + 8, BigInt(big * PAGE_SIZE) | RWU | PTE.large, true);
    const linear = 0x20_0000 + 0x12_3458;
    machine.view.setBigUint64(big * PAGE_SIZE + 0x12_3458, 77n, true);
    expect(outcome(READ, linear)).toBe('ok');
    expect(m.cpu.regs.gpr[0]).toBe(77n);
    const entry = (): bigint => machine.view.getBigUint64(tables.l2 + 8, true);
    expect(entry() & (PTE.accessed | PTE.dirty)).toBe(PTE.accessed);
    expect(outcome(WRITE, linear)).toBe('ok');
    expect(entry() & PTE.dirty).toBe(PTE.dirty);
    // Bits 13 to 20 of such an entry are reserved; bit 12 is PAT.
    machine.view.setBigUint64(tables.l2 + 8, entry() | 0x1000n, true);
    m.cpu.flushAll();
    expect(outcome(READ, linear)).toBe('ok');
    machine.view.setBigUint64(tables.l2 + 8, entry() | 0x2000n, true);
    m.cpu.flushAll();
    expect(outcome(READ, linear)).toEqual(fault(0xd, linear));
  });

  it('1 GiB pages too, and what lies behind the machine is reserved', () => {
    const { machine, tables } = m;
    machine.view.setBigUint64(tables.l3 + 8, RWU | PTE.large, true);
    const inside = machine.firstFrame * PAGE_SIZE + 0x18;
    machine.view.setBigUint64(inside, 99n, true);
    expect(outcome(READ, 0x4000_0000 + inside)).toBe('ok');
    expect(m.cpu.regs.gpr[0]).toBe(99n);
    const behind = 0x4000_0000 + machine.frames * PAGE_SIZE;
    expect(outcome(READ, behind)).toEqual(fault(0xd, behind));
    expect(outcome(WRITE, behind)).toEqual(fault(0xf, behind));
  });

  it('the L4 has none: its PS bit is reserved', () => {
    m.machine.view.setBigUint64(m.tables.l4 + 8, BigInt(m.tables.l3) | RWU | PTE.large, true);
    expect(outcome(READ, 1n << 39n)).toEqual(fault(0xd, 1n << 39n));
  });
});

describe('canonical addresses', () => {
  const HIGH = 1n << 47n;
  it.each([READ, WRITE, MODIFY])('%s faults with #GP(0) outside, and at the border', (code) => {
    const gp = { vector: 13, errorCode: 0, retired: 0 };
    expect(outcome(code, HIGH)).toEqual(gp);
    expect(outcome(code, 0x1234n << 48n)).toEqual(gp);
    expect(outcome(code, HIGH - 1n)).toEqual(fault(code === READ ? 4 : 6, HIGH - 1n));
  });

  it('an access that runs over the border faults with #GP when its first page is there', () => {
    const { machine, tables } = m;
    const set = (table: number, to: number): void =>
      machine.view.setBigUint64(table + 8 * (table === tables.l4 ? 255 : 511), BigInt(to) | RWU, true);
    set(tables.l4, tables.l3);
    set(tables.l3, tables.l2);
    set(tables.l2, tables.l1);
    set(tables.l1, m.base + DATA);
    expect(outcome(READ, HIGH - 8n)).toBe('ok');
    expect(outcome(READ, HIGH - 7n)).toEqual({ vector: 13, errorCode: 0, retired: 0 });
    // Code that runs over the border faults behind its last instruction.
    m.write(DATA + 0xff0, new Uint8Array(16).fill(0x90));
    m.start('ff e3');
    m.cpu.regs.gpr[3] = HIGH - 2n;
    expect(m.cpu.run(10)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.errorCode, m.cpu.retired, m.cpu.regs.rip]).toEqual([13, 0, 3, HIGH]);
  });

  it.each([
    ['jmp rbx', 'ff e3'],
    ['call rbx', 'ff d3'],
    ['ret', 'c3'],
    ['ret 8', 'c2 08 00'],
    ['jmp [rdi]', 'ff 27'],
    ['call [rdi]', 'ff 17'],
  ])('%s to an address outside faults with #GP(0) itself, and changes nothing', (_name, code) => {
    for (const target of [HIGH, 0x1234n << 48n, 0xffff_7fff_ffff_ffffn]) {
      m.start(code);
      const { gpr } = m.cpu.regs;
      gpr[3] = target;
      gpr[4] = 0x8000n;
      gpr[7] = BigInt(DATA);
      for (const at of [DATA, 0x8000]) m.machine.view.setBigUint64(m.base + at, target, true);
      const before = [...gpr];
      expect(m.cpu.run(5)).toBe(Exit.exception);
      expect([m.cpu.vector, m.cpu.errorCode, m.cpu.retired, m.cpu.regs.rip]).toEqual([13, 0, 0, 0x1000n]);
      expect([...gpr]).toEqual(before);
    }
  });

  it('so does a relative branch over the border', () => {
    const { machine, tables } = m;
    const set = (table: number, to: number): void =>
      machine.view.setBigUint64(table + 8 * (table === tables.l4 ? 255 : 511), BigInt(to) | RWU, true);
    set(tables.l4, tables.l3);
    set(tables.l3, tables.l2);
    set(tables.l2, tables.l1);
    set(tables.l1, m.base + DATA);
    for (const code of [
      [0xeb, 0x7f],
      [0x74, 0x7f],
      [0xe8, 0, 1, 0, 0],
      [0xe2, 0x7f],
      [0xe3, 0x7f],
    ]) {
      m.cpu.resetState();
      m.write(DATA + 0xfe0, code);
      m.cpu.regs.rip = HIGH - 0x20n;
      m.cpu.regs.rflags = 0x40n;
      m.cpu.regs.gpr[1] = code[0] === 0xe2 ? 5n : 0n;
      m.cpu.regs.gpr[4] = 0x8000n;
      expect(m.cpu.run(1)).toBe(Exit.exception);
      expect([m.cpu.vector, m.cpu.regs.rip, m.cpu.regs.gpr[4]]).toEqual([13, HIGH - 0x20n, 0x8000n]);
      expect(m.cpu.regs.gpr[1]).toBe(code[0] === 0xe2 ? 5n : 0n);
    }
  });

  it('flushPage of one address forgets all of its large page', () => {
    const { machine, tables } = m;
    const start = machine.firstFrame * PAGE_SIZE;
    const inside = start & 0x1f_ffff;
    machine.view.setBigUint64(tables.l2 + 8, BigInt(start - inside) | RWU | PTE.large, true);
    expect(outcome(READ, 0x20_0000 + inside)).toBe('ok');
    machine.view.setBigUint64(tables.l2 + 8, 0n, true);
    expect(outcome(READ, 0x20_0000 + inside)).toBe('ok');
    m.cpu.flushPage(BigInt(0x20_0000 + inside + 5 * PAGE_SIZE));
    expect(outcome(READ, 0x20_0000 + inside)).toEqual(fault(4, 0x20_0000 + inside));
  });

  it('the upper half is canonical', () => {
    m.machine.view.setBigUint64(m.tables.l4 + 8 * 256, BigInt(m.tables.l3) | RWU, true);
    m.write(DATA, [5, 0, 0, 0, 0, 0, 0, 0]);
    expect(outcome(READ, 0xffff_8000_0000_0000n + BigInt(DATA))).toBe('ok');
    expect(m.cpu.regs.gpr[0]).toBe(5n);
  });

  it.each([
    ['push rax', '50'],
    ['pop rax', '58'],
    ['call', 'e8 00 00 00 00'],
    ['ret', 'c3'],
    ['mov rax, [rsp]', '48 8b 04 24'],
    ['mov [rbp+8], rax', '48 89 45 08'],
    ['leave', 'c9'],
    ['push [rdi] (the push)', 'ff 37'],
  ])('%s on a stack there faults with #SS(0)', (_name, code) => {
    m.start(code);
    m.cpu.regs.gpr[7] = BigInt(DATA);
    m.cpu.regs.gpr[4] = HIGH + 0x100n;
    m.cpu.regs.gpr[5] = HIGH + 0x100n;
    expect(m.cpu.run(5)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.errorCode, m.cpu.retired]).toEqual([12, 0, 0]);
    expect(m.cpu.regs.gpr[4]).toBe(HIGH + 0x100n);
  });

  it.each([
    ['push [rdi] (the read)', 'ff 37', 7],
    ['mov rax, gs:[rsp]', '65 48 8b 04 24', 4],
    ['mov rax, [r12]', '49 8b 04 24', 12],
    ['rep movsb', 'f3 a4', 7],
  ])('%s there is no stack access', (_name, code, register) => {
    m.start(code);
    m.cpu.regs.gpr[6] = BigInt(DATA);
    m.cpu.regs.gpr[1] = 1n;
    m.cpu.regs.gpr[register] = HIGH;
    expect(m.cpu.run(5)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.errorCode]).toEqual([13, 0]);
  });
});

describe('accesses to two pages', () => {
  const at = DATA + PAGE_SIZE - 3;
  const bytes = (): number[] => [...m.machine.bytes.subarray(m.base + at, m.base + at + 8)];

  it('go to both, which need not be neighbours', () => {
    // The pages behind DATA are exchanged in machine memory.
    m.pte(PAGE + 1, () => BigInt(m.base + 0x9000) | RWU);
    m.start('48 89 07 48 8b 1f 48 01 1f f4');
    m.cpu.regs.gpr[7] = BigInt(at);
    m.cpu.regs.gpr[0] = 0x0807_0605_0403_0201n;
    expect(m.cpu.run(10)).toBe(Exit.privileged);
    expect(m.cpu.regs.gpr[3]).toBe(0x0807_0605_0403_0201n);
    expect(bytes().slice(0, 3)).toEqual([2, 4, 6]);
    expect([...m.machine.bytes.subarray(m.base + 0x9000, m.base + 0x9005)]).toEqual([8, 10, 12, 14, 16]);
  });

  it.each([
    ['read', READ, 4],
    ['write', WRITE, 6],
    ['read-modify-write', MODIFY, 6],
    ['xchg', '48 87 07 f4', 6],
    ['push', 'ff f0 f4', 6],
  ])('a %s that faults in the second changes nothing', (_name, code, errorCode) => {
    m.write(at, [1, 2, 3, 4, 5, 6, 7, 8]);
    m.pte(PAGE + 1, (e) => e & ~PTE.present);
    m.start(code);
    m.cpu.regs.gpr[0] = 0x1111n;
    m.cpu.regs.gpr[7] = BigInt(at);
    m.cpu.regs.gpr[4] = BigInt(at + 8);
    const before = [...m.cpu.regs.gpr];
    expect(m.cpu.run(10)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.errorCode, m.cpu.cr2]).toEqual([14, errorCode, BigInt(DATA + PAGE_SIZE)]);
    expect([...m.cpu.regs.gpr]).toEqual(before);
    expect(bytes()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('report the first page when both are absent', () => {
    m.pte(PAGE, (e) => e & ~PTE.present);
    m.pte(PAGE + 1, (e) => e & ~PTE.present);
    expect(outcome(READ, at)).toEqual(fault(4, at));
  });

  it('an instruction whose second page is absent faults there, when that is needed', () => {
    m.start('f4', DATA);
    m.write(DATA + PAGE_SIZE - 2, [0x48, 0x01]);
    m.pte(PAGE + 1, (e) => e & ~PTE.present);
    m.cpu.regs.rip = BigInt(DATA + PAGE_SIZE - 2);
    expect(m.cpu.run(5)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.errorCode, m.cpu.cr2]).toEqual([14, 0x14, BigInt(DATA + PAGE_SIZE)]);
    expect(m.cpu.regs.rip).toBe(BigInt(DATA + PAGE_SIZE - 2));
    // One that ends with the page runs, and only the next fetch faults.
    m.write(DATA + PAGE_SIZE - 2, [0xff, 0xc0]);
    m.cpu.regs.gpr[0] = 1n;
    expect(m.cpu.run(5)).toBe(Exit.exception);
    expect([m.cpu.retired, m.cpu.cr2, m.cpu.regs.gpr[0]]).toEqual([1, BigInt(DATA + PAGE_SIZE), 2n]);
    expect(m.cpu.regs.rip).toBe(BigInt(DATA + PAGE_SIZE));
  });
});

describe('frames of others', () => {
  const owner = (page: number, domid: number): void =>
    m.machine.view.setUint16(m.machine.entry((m.base >> 12) + page) + FRAME.owner, domid, true);

  it('cannot be reached, unless the host allows it for this kind of access', () => {
    owner(PAGE, 2);
    m.write(DATA, [9]);
    const foreign = { vector: FAULT_FOREIGN, errorCode: (m.base + DATA) >> 12, retired: 0 };
    expect(outcome(READ, DATA)).toEqual(foreign);
    const asked: unknown[] = [];
    m.cpu.onForeignFrame = (mfn, write) => {
      asked.push([mfn, write]);
      return !write;
    };
    expect(outcome(READ, DATA)).toBe('ok');
    expect(m.cpu.regs.gpr[0]).toBe(9n);
    expect(outcome(WRITE, DATA)).toEqual(foreign);
    expect(asked).toEqual([
      [(m.base + DATA) >> 12, false],
      [(m.base + DATA) >> 12, true],
    ]);
    expect(m.pte(PAGE) & PTE.dirty).toBe(0n);
  });

  it('that are public can be', () => {
    owner(PAGE, 2);
    m.machine.view.setUint16(m.machine.entry((m.base + DATA) >> 12) + FRAME.flags, 1, true);
    expect(outcome(READ, DATA)).toBe('ok');
  });
});
