import { beforeEach, describe, expect, it } from 'vitest';
import { Exit } from '../processor.js';
import { type FlatMachine, flatMachine, hex, PTE, RWU } from '../testing/flat-machine.js';

const CODE = 0x1000;
const DATA = 0x4000;
const TF = 0x100n;
let m: FlatMachine;
beforeEach(async () => {
  m = await flatMachine(16);
});

describe('PAUSE', () => {
  it('ends a run when there are many of them, behind the last', () => {
    m.start('f3 90 eb fc');
    expect(m.cpu.run(10_000)).toBe(Exit.pause);
    expect(m.cpu.retired).toBe(127);
    expect(m.cpu.regs.rip).toBe(BigInt(CODE + 2));
  });

  it('a few are instructions like others', () => {
    m.start(`${'f3 90 '.repeat(20)}f4`);
    for (let i = 0; i < 5; i++) {
      m.cpu.regs.rip = BigInt(CODE);
      expect(m.cpu.run(100)).toBe(Exit.privileged);
      expect(m.cpu.retired).toBe(20);
    }
  });
});

describe('single stepping', () => {
  const debug = (): [number, number, bigint] => [m.cpu.vector, m.cpu.retired, m.cpu.regs.rip - BigInt(CODE)];

  it('raises #DB behind each instruction', () => {
    m.start('90 ff c0 90 90');
    m.cpu.regs.rflags = TF;
    expect(m.cpu.run(100)).toBe(Exit.exception);
    expect(debug()).toEqual([1, 1, 1n]);
    expect(m.cpu.errorCode).toBe(-1);
    m.cpu.run(100);
    expect(debug()).toEqual([1, 1, 3n]);
  });

  it('begins behind the instruction after the POPF that sets TF, within a run too', () => {
    m.start('68 02 01 00 00 9d 90 90 90'); // push 0x102; popf; nop …
    expect(m.cpu.run(100)).toBe(Exit.exception);
    expect(debug()).toEqual([1, 3, 7n]);
  });

  it('ends with the POPF that clears TF, which still traps', () => {
    m.start('6a 02 9d 90 f4');
    m.cpu.regs.rflags = TF;
    m.cpu.run(100);
    m.cpu.run(100);
    expect(debug()).toEqual([1, 1, 3n]);
    expect(m.cpu.run(100)).toBe(Exit.privileged);
  });

  it('steps through REP iteration by iteration, over what the processor does itself, and over PAUSE', () => {
    m.start('f3 aa 0f c7 f0 f3 90');
    m.cpu.onRandom = () => 5n;
    m.cpu.regs.gpr[1] = 2n;
    m.cpu.regs.gpr[7] = BigInt(DATA);
    m.cpu.regs.rflags = TF;
    const seen = [0, 1, 2, 3].map(() => {
      expect(m.cpu.run(100)).toBe(Exit.exception);
      return debug()[2];
    });
    expect(seen).toEqual([0n, 2n, 5n, 7n]);
  });

  it('a fault comes before the trap', () => {
    m.start('0f 0b');
    m.cpu.regs.rflags = TF;
    m.cpu.run(100);
    expect(debug()).toEqual([6, 0, 0n]);
  });

  it('a saved image has the TF of PUSHF', () => {
    m.start('9c');
    m.cpu.regs.rflags = TF | 1n;
    m.cpu.run(1);
    expect(m.machine.view.getBigUint64(m.base + 0x7ff8, true)).toBe(TF | 3n);
  });
});

describe('traps and software interrupts', () => {
  it.each([
    ['int3', 'cc', Exit.exception, 3, 1n],
    ['ud2', '0f 0b', Exit.exception, 6, 0n],
    ['int 0x80', 'cd 80', Exit.softwareInterrupt, 0x80, 0n],
  ])('%s', (_name, code, exit, vector, offset) => {
    m.start(code);
    expect(m.cpu.run(5)).toBe(exit);
    expect([m.cpu.vector, m.cpu.regs.rip - BigInt(CODE)]).toEqual([vector, offset]);
  });

  it('SYSCALL leaves in front of it, with its length, and changes nothing', () => {
    m.start('90 0f 05');
    m.cpu.regs.gpr[1] = 5n;
    expect(m.cpu.run(5)).toBe(Exit.syscall);
    expect([m.cpu.length, m.cpu.regs.rip, m.cpu.regs.gpr[1], m.cpu.retired]).toEqual([
      2,
      BigInt(CODE + 1),
      5n,
      1,
    ]);
  });

  it('an instruction of more than 15 bytes is #GP(0)', () => {
    m.start(`${'66 '.repeat(14)}90 f4`);
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    m.start(`${'66 '.repeat(15)}90`);
    expect(m.cpu.run(5)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.errorCode]).toEqual([13, 0]);
  });

  it('#NM for SSE and x87 while TS is set', () => {
    m.start('90 0f 28 c1 d9 3f');
    m.cpu.taskSwitched = true;
    expect(m.cpu.run(5)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.retired, m.cpu.regs.rip]).toEqual([7, 1, BigInt(CODE + 1)]);
    m.cpu.taskSwitched = false;
    m.cpu.run(1);
    m.cpu.taskSwitched = true;
    m.cpu.run(1);
    expect([m.cpu.vector, m.cpu.regs.rip]).toEqual([7, BigInt(CODE + 4)]);
  });
});

describe('flags that stand beside the result', () => {
  const [CF, OF] = [1n, 0x800n];
  const ALL_SIX = 0x8d5n;
  /** The six flags behind some code, which begins with all set or all clear. */
  const flagsAfter = (code: string, before: bigint): bigint => {
    m.start(`${code} f4`);
    m.cpu.regs.rflags = before | 2n;
    m.cpu.regs.gpr[0] = 0x7fn;
    m.cpu.regs.gpr[1] = 0x8000_0001n;
    expect(m.cpu.run(100)).toBe(Exit.privileged);
    return m.cpu.regs.rflags & ALL_SIX;
  };
  const befores = [
    ['nothing', '90'],
    ['an addition', '04 01'],
    ['a subtraction', '2c 80'],
    ['a logical operation', '84 c0'],
    ['an increment', 'fe c0'],
    ['a decrement', 'fe c8'],
    ['a decrement behind an addition', '04 81 fe c8'],
    ['a shift', 'd0 e0'],
    ['another such operation', '04 01 f9 d1 c9 fe c0'],
  ] as const;

  it.each(befores)('are changed behind %s, and the others stay', (_, code) => {
    for (const before of [0n, ALL_SIX]) {
      const flags = flagsAfter(code, before);
      const behind = (more: string): bigint => flagsAfter(`${code} ${more}`, before);
      expect(behind('b9 01 00 00 80 d1 c9')).toBe((flags & ~OF) | CF); // ror ecx, 1: 0xc0000000
      expect(behind('b9 02 00 00 80 d1 c1')).toBe(flags | CF | OF); // rol ecx, 1: 5
      expect(behind('b9 04 00 00 00 d1 c1')).toBe(flags & ~(CF | OF));
      expect(behind('f8')).toBe(flags & ~CF);
      expect(behind('f9')).toBe(flags | CF);
      expect(behind('f5')).toBe(flags ^ CF);
    }
  });
});

describe('RDRAND', () => {
  it('gives what the host has, in the operand size, with CF set and the other flags clear', () => {
    const random = 0xfedc_ba98_7654_3210n;
    m.cpu.onRandom = () => random;
    m.start('0f c7 f0 48 0f c7 f3 66 0f c7 f1 49 0f c7 f9 f4');
    m.cpu.regs.rflags = 0x8d5n;
    m.cpu.regs.gpr.fill(0xffff_ffff_ffff_ffffn, 0, 4);
    expect(m.cpu.run(100)).toBe(Exit.privileged);
    expect(m.cpu.retired).toBe(4);
    const { gpr } = m.cpu.regs;
    expect([gpr[0], gpr[3], gpr[1], gpr[9]]).toEqual([0x7654_3210n, random, 0xffff_ffff_ffff_3210n, random]);
    expect(m.cpu.regs.rflags & 0x8d5n).toBe(1n);
  });
});

describe('emulateWrite', () => {
  const scratch = (): number => (m.base + 0x9000) >> 12;
  beforeEach(() => {
    m.pte(DATA >> 12, (e) => e & ~PTE.write);
    m.write(DATA + 0x10, [1, 2, 3, 4, 5, 6, 7, 8]);
    m.write(0x9010, [1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('sends the one instruction at rip to the scratch frame', () => {
    m.start('48 01 07 48 01 07'); // add [rdi], rax, twice
    m.cpu.regs.gpr[0] = 1n;
    m.cpu.regs.gpr[7] = BigInt(DATA + 0x10);
    expect(m.cpu.run(5)).toBe(Exit.exception);
    expect(m.cpu.emulateWrite(m.cpu.cr2, scratch())).toBe(true);
    expect(m.cpu.retired).toBe(1);
    expect(m.cpu.regs.rip).toBe(BigInt(CODE + 3));
    expect(m.machine.bytes[m.base + 0x9010]).toBe(2);
    expect(m.machine.bytes[m.base + DATA + 0x10]).toBe(1);
    // The page itself is as it was.
    expect(m.cpu.run(5)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.errorCode]).toEqual([14, 7]);
  });

  it('answers false when the instruction faults elsewhere, and nothing happened', () => {
    m.start('48 8b 04 25 00 00 10 00'); // mov rax, [0x100000]
    const before = [...m.cpu.regs.gpr];
    expect(m.cpu.emulateWrite(BigInt(DATA), scratch())).toBe(false);
    expect([...m.cpu.regs.gpr]).toEqual(before);
    expect(m.cpu.regs.rip).toBe(BigInt(CODE));
    m.start('f4');
    expect(m.cpu.emulateWrite(BigInt(DATA), scratch())).toBe(false);
  });

  it('one iteration of a REP', () => {
    m.start('f3 48 ab');
    m.cpu.regs.gpr[7] = BigInt(DATA + 0x10);
    m.cpu.regs.gpr[1] = 3n;
    m.cpu.regs.gpr[0] = 7n;
    expect(m.cpu.emulateWrite(BigInt(DATA + 0x10), scratch())).toBe(true);
    expect(m.cpu.regs.gpr[1]).toBe(2n);
    expect(m.machine.view.getBigUint64(m.base + 0x9010, true)).toBe(7n);
    expect(m.machine.view.getBigUint64(m.base + 0x9018, true)).toBe(0n);
  });
});

describe('the state of a vCPU', () => {
  it('goes out and comes back, lazy flags, segments and vectors included', () => {
    const { cpu } = m;
    m.start('48 39 d8 f4'); // cmp rax, rbx leaves lazy flags
    cpu.regs.gpr.forEach((_, i) => {
      cpu.regs.gpr[i] = BigInt(i) * 0x0101_0101_0101_0101n;
    });
    cpu.regs.xmm.forEach((_, i) => {
      cpu.regs.xmm[i] = i;
    });
    cpu.regs.fsBase = 0x1234n;
    cpu.regs.gsBase = 0xffff_8000_0000_0000n;
    cpu.regs.selectors.set([1, 2, 3, 4, 5, 6]);
    cpu.regs.mxcsr = 0x1fa0;
    cpu.taskSwitched = true;
    cpu.run(1);
    const look = (): unknown => ({
      gpr: [...cpu.regs.gpr],
      rip: cpu.regs.rip,
      flags: cpu.regs.rflags,
      xmm: [...cpu.regs.xmm],
      segments: [cpu.regs.fsBase, cpu.regs.gsBase, ...cpu.regs.selectors],
      rest: [cpu.regs.mxcsr, cpu.taskSwitched, cpu.regs.long, cpu.regs.cpl],
    });
    const before = look();
    expect(cpu.regs.rflags & 1n).toBe(1n);
    const saved = new Uint8Array(cpu.stateSize);
    cpu.saveState(saved);
    cpu.resetState();
    expect([cpu.regs.rip, cpu.regs.rflags, cpu.regs.mxcsr, cpu.regs.long, cpu.regs.cpl]).toEqual([
      0n,
      2n,
      0x1f80,
      true,
      3,
    ]);
    expect([...cpu.regs.gpr, ...cpu.regs.xmm].every((v) => Number(v) === 0)).toBe(true);
    cpu.loadState(saved);
    expect(look()).toEqual(before);
  });

  it('two vCPUs take turns', () => {
    m.start('ff c0 eb fc'); // inc eax; jmp
    const states = [1n, 1000n].map((start) => {
      m.cpu.regs.gpr[0] = start;
      const state = new Uint8Array(m.cpu.stateSize);
      m.cpu.saveState(state);
      return state;
    });
    for (let round = 0; round < 6; round++) {
      const state = states[round % 2]!;
      m.cpu.loadState(state);
      m.cpu.run(7);
      m.cpu.saveState(state);
    }
    expect(states.map((s) => new DataView(s.buffer).getBigUint64(0, true))).toEqual([12n, 1011n]);
  });
});

describe('compatibility mode', () => {
  const start32 = (code: string): void => {
    m.start(code);
    m.cpu.regs.long = false;
  };

  it('has 32-bit registers, addresses and stack', () => {
    // push 5; pop ecx; inc eax (40); mov [ebx + eax], cl; call +0; pop edx; hlt
    start32('6a 05 59 40 88 0c 03 e8 00 00 00 00 5a f4');
    m.cpu.regs.gpr[3] = BigInt(DATA) - 1n;
    m.cpu.regs.gpr[0] = 0xffff_ffff_0000_0000n;
    expect(m.cpu.run(100)).toBe(Exit.privileged);
    expect(m.machine.bytes[m.base + DATA]).toBe(5);
    expect([m.cpu.regs.gpr[0], m.cpu.regs.gpr[2], m.cpu.regs.gpr[4]]).toEqual([
      1n,
      BigInt(CODE + 12),
      0x8000n,
    ]);
    expect(m.machine.view.getUint32(m.base + 0x7ffc, true)).toBe(CODE + 12);
  });

  it('addresses wrap at 4 GiB, segment bases of FS and GS are added', () => {
    start32('8b 40 10 f4'); // mov eax, [eax + 16]
    m.write(DATA, [9]);
    m.cpu.regs.gpr[0] = BigInt(DATA) + 0xffff_fff0n;
    m.cpu.run(10);
    expect(m.cpu.regs.gpr[0]).toBe(9n);
    start32('65 a1 04 00 00 00 f4'); // mov eax, gs:[4]
    m.cpu.regs.gsBase = BigInt(DATA) - 4n;
    m.cpu.run(10);
    expect(m.cpu.regs.gpr[0]).toBe(9n);
  });

  it('POP to memory uses the rsp behind it', () => {
    start32('6a 07 8f 04 24 f4'); // push 7; pop [esp]
    m.write(0x8000, [1, 0, 0, 0]);
    expect(m.cpu.run(10)).toBe(Exit.privileged);
    expect(m.machine.bytes[m.base + 0x8000]).toBe(7);
    m.start('6a 07 8f 44 24 08 f4'); // the same in 64-bit code: pop [rsp + 8]
    m.cpu.run(10);
    expect(m.machine.bytes[m.base + 0x8008]).toBe(7);
    m.start('6a 06 64 8f 44 24 08 f4'); // pop fs:[rsp + 8]
    m.cpu.regs.fsBase = 0x10n;
    m.cpu.run(10);
    expect(m.machine.bytes[m.base + 0x8018]).toBe(6);
  });

  it('the same bytes at the same address mean what the mode says', () => {
    const bytes = '48 01 d8 f4'; // add rax, rbx; or dec eax, add eax, ebx
    for (let round = 0; round < 2; round++) {
      m.start(bytes);
      m.cpu.regs.gpr[0] = 0xffff_ffffn;
      m.cpu.regs.gpr[3] = 1n;
      m.cpu.run(10);
      expect([m.cpu.regs.gpr[0], m.cpu.retired]).toEqual([0x1_0000_0000n, 1]);
      m.cpu.resetState();
      m.cpu.regs.long = false;
      m.cpu.regs.rip = BigInt(CODE);
      m.cpu.regs.gpr[0] = 0xffff_ffffn;
      m.cpu.regs.gpr[3] = 1n;
      m.cpu.run(10);
      expect([m.cpu.regs.gpr[0], m.cpu.retired]).toEqual([0xffff_ffffn, 2]);
    }
  });

  it('INTO is there, and only there', () => {
    start32('ce f4');
    m.cpu.regs.rflags = 0x800n;
    expect(m.cpu.run(5)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.regs.rip]).toEqual([4, BigInt(CODE + 1)]);
    start32('ce f4');
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    m.start('ce');
    m.cpu.run(5);
    expect(m.cpu.vector).toBe(6);
  });
});

describe('addresses', () => {
  it.each([
    ['mov eax, fs:[rdi]', '64 8b 07 f4', DATA - 0x40],
    ['mov eax, [edi]', '67 8b 07 f4', 0xdead_0000_0000_0000n + BigInt(DATA)],
    ['lodsd fs:', '64 ad f4', DATA - 0x40],
    ['lodsd [esi]', '67 ad f4', 0xdead_0000_0000_0000n + BigInt(DATA)],
    ['xlat fs: (al = 0)', '64 d7 f4', DATA - 0x40],
    ['mov eax, [moffs]', 'a1 00 40 00 00 00 00 00 00 f4', 0],
    ['mov eax, [rip + d]', '8b 05 fa 2f 00 00 f4', 0],
  ])('%s', (_name, code, pointer) => {
    m.write(DATA, [0x77, 0, 0, 0]);
    m.start(code);
    const { gpr } = m.cpu.regs;
    for (const r of [3, 6, 7]) gpr[r] = BigInt.asUintN(64, BigInt(pointer));
    m.cpu.regs.fsBase = 0x40n;
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    expect(gpr[0]).toBe(0x77n);
  });

  it.each([
    ['jrcxz', 'e3 01 f4 ff c0 f4', 0n, 0n],
    ['jecxz', '67 e3 01 f4 ff c0 f4', 1n, 0xaaaa_0000_0000n],
    ['loop', 'e2 01 f4 ff c0 f4', 1n, 0xaaa9_ffff_ffffn],
    ['loop with ecx', '67 e2 01 f4 ff c0 f4', 1n, 0xffff_ffffn],
  ])('%s counts in its address size', (_name, code, rax, rcx) => {
    m.start(code);
    m.cpu.regs.gpr[1] = rcx === 0n ? 1n : 0xaaaa_0000_0000n;
    m.cpu.run(5);
    expect([m.cpu.regs.gpr[0], m.cpu.regs.gpr[1]]).toEqual([rax, rcx === 0n ? 1n : rcx]);
  });

  it('LEA takes no segment base and no memory', () => {
    m.start('64 48 8d 84 8b 00 00 00 80 f4'); // lea rax, fs:[rbx + rcx * 4 − 2 GiB]
    m.cpu.regs.fsBase = 0x40n;
    m.cpu.regs.gpr[3] = 1n << 60n;
    m.cpu.regs.gpr[1] = 3n;
    m.cpu.run(5);
    expect(m.cpu.regs.gpr[0]).toBe((1n << 60n) + 12n - 0x8000_0000n);
  });

  it('code runs where one frame is mapped twice, with its own rip', () => {
    m.pte(9, () => BigInt(m.base + CODE) | RWU);
    m.start('48 8d 05 00 00 00 00 f4'); // lea rax, [rip]
    m.cpu.run(5);
    expect(m.cpu.regs.gpr[0]).toBe(BigInt(CODE + 7));
    m.cpu.regs.rip = 0x9000n;
    m.cpu.run(5);
    expect(m.cpu.regs.gpr[0]).toBe(0x9007n);
  });

  it('code crosses from page to page, each wherever its frame is', () => {
    m.pte(6, () => BigInt(m.base + 0x9000) | RWU);
    m.start('f4');
    m.write(0x5ffe, hex('ff c0'));
    m.write(0x9000, hex('ff c0 f4'));
    m.cpu.regs.rip = 0x5ffen;
    m.cpu.run(5);
    expect(m.cpu.regs.gpr[0]).toBe(2n);
    expect(m.cpu.regs.rip).toBe(0x6002n);
  });
});
