import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { Exit } from '../processor.js';
import { type FlatMachine, flatMachine, hex } from '../testing/flat-machine.js';

const CODE = 0x1000;
const DATA = 0x4000;
/** Pages that random programs may change: code, data, stack. */
const CHANGED = 12 * 4096;

let m: FlatMachine;
beforeAll(async () => {
  m = await flatMachine(16);
});

interface Program {
  code: number[];
  registers: bigint[];
  flags: bigint;
  budget: number;
}

/** All that a program can be seen to have done. */
function result(p: Program, steps: 'one run' | 'one at a time' | 'sevens'): unknown {
  const { cpu, machine, base } = m;
  machine.bytes.fill(0, base, base + 16 * 4096);
  for (let i = 0; i < CHANGED; i += 3) machine.bytes[base + i] = i;
  m.start('');
  m.write(0, machine.bytes.slice(base, base + 16 * 4096));
  m.write(CODE, p.code);
  p.registers.forEach((v, i) => {
    cpu.regs.gpr[i] = v;
  });
  cpu.regs.rflags = p.flags;
  cpu.tsc = 1000n;
  cpu.onRandom = () => 0x1234_5678_9abc_def0n;
  const step = steps === 'one run' ? p.budget : steps === 'sevens' ? 7 : 1;
  let retired = 0;
  let exit: number = Exit.budget;
  while (exit === Exit.budget && retired < p.budget) {
    exit = cpu.run(Math.min(step, p.budget - retired));
    retired += cpu.retired;
  }
  const { regs } = cpu;
  return {
    exit,
    retired,
    tsc: cpu.tsc,
    rip: regs.rip,
    gpr: [...regs.gpr],
    flags: regs.rflags,
    xmm: [...regs.xmm].join(),
    memory: machine.bytes.slice(base, base + CHANGED).reduce((sum, b) => (sum * 31 + b) | 0, 0),
    ...(exit === Exit.exception && { vector: cpu.vector, code: cpu.errorCode, cr2: cpu.cr2 }),
  };
}

/** Instructions that mostly do not fault: RDI, RSI, RBP point into data, RSP to the stack. */
const FRAGMENTS = [
  '48 01 d8', // add rax, rbx
  '48 29 c1', // sub rcx, rax
  '11 c2', // adc edx, eax
  '48 0f af c3', // imul rax, rbx
  'ff c0',
  '48 ff cb',
  '48 8b 07', // mov rax, [rdi]
  '48 89 5f 08', // mov [rdi + 8], rbx
  '01 06', // add [rsi], eax
  'f0 48 0f b1 0e', // lock cmpxchg [rsi], rcx
  '0f c1 47 10', // xadd [rdi + 16], eax
  '50',
  '5b',
  '9c', // pushf
  '48 39 d8 74 02', // cmp rax, rbx; je +2
  '85 c0 75 03', // test eax, eax; jne +3
  'ff c9 79 02', // dec ecx; jns +2
  '83 f9 05 72 01', // cmp ecx, 5; jb +1
  'eb 01',
  'e8 01 00 00 00', // call +1
  'e3 02', // jrcxz
  'e2 01', // loop
  '0f 94 c1', // sete cl
  '0f 42 c3', // cmovb eax, ebx
  'b9 05 00 00 00 f3 a4', // mov ecx, 5; rep movsb
  'b9 0b 00 00 00 f3 48 ab', // mov ecx, 11; rep stosq
  'b9 06 00 00 00 f3 a6', // repe cmpsb
  'b9 06 00 00 00 f2 ae', // repne scasb
  'fc',
  'fd', // std
  '0f 31', // rdtsc
  '48 c1 e0 03',
  'd3 e8',
  '48 d3 c3', // rol rbx, cl
  '0f a3 1e', // bt [rsi], ebx: anywhere
  '66 0f fe c1', // paddd xmm0, xmm1
  '66 48 0f 6e c8', // movq xmm1, rax
  '0f 11 07', // movups [rdi], xmm0
  'fe 05 00 00 00 00', // inc byte [rip]: the next opcode
  'c6 05 01 00 00 00 90', // mov byte [rip + 1], 0x90
  '80 05 f9 ff ff ff 01', // add byte [rip − 7], 1: itself
  '0f c7 f0', // rdrand eax
  'c8 10 00 00', // enter
  'c9', // leave
  '31 c0 e8 00 00 00 00 58', // call next; pop rax
  '48 8d 3d f4 ff ff ff', // lea rdi, [rip − 12]: later stores hit code
];

const value = fc.oneof(
  fc.constantFrom(0n, 1n, 0xffff_ffff_ffff_ffffn, 1n << 63n, 0x7fff_ffffn),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
);
const registers = fc
  .tuple(fc.array(value, { minLength: 16, maxLength: 16 }), fc.nat(0x1fff), fc.nat(0x1fff))
  .map(([v, a, b]) => {
    const r = [...v];
    r[4] = 0x8000n;
    r[5] = BigInt(DATA + 0x800);
    r[6] = BigInt(DATA + a);
    r[7] = BigInt(DATA + b);
    return r;
  });
/** Arithmetic flags and DF. */
const flags = fc.nat(0xfff).map((f) => BigInt((f & 0xcd5) | 2));
const budget = fc.integer({ min: 1, max: 120 });

const fragments: fc.Arbitrary<Program> = fc.record({
  code: fc
    .array(fc.constantFrom(...FRAGMENTS), { minLength: 1, maxLength: 60 })
    .map((list) => hex([...list, 'f4'].join(' '))),
  registers,
  flags,
  budget,
});
const noise: fc.Arbitrary<Program> = fc.record({
  code: fc.array(fc.nat(255), { minLength: 1, maxLength: 64 }),
  registers,
  flags,
  budget,
});

describe('the count of instructions', () => {
  it.each([
    ['programs of usual instructions', fragments, 400, 60],
    ['random bytes', noise, 400, 5],
  ] as const)(
    '%s do the same in one run as one instruction at a time',
    (_name, programs, numRuns, atLeast) => {
      let most = 0;
      fc.assert(
        fc.property(programs, (p) => {
          const whole = result(p, 'one run') as { retired: number };
          most = Math.max(most, whole.retired);
          expect(result(p, 'one at a time')).toEqual(whole);
          expect(result(p, 'sevens')).toEqual(whole);
        }),
        { numRuns, seed: 777 },
      );
      expect(most).toBeGreaterThan(atLeast);
    },
  );

  it.each([
    ['rep movsb', 'f3 a4 f4', 5n],
    ['rep stosd', 'f3 ab f4', 5n],
    ['rep lodsq', 'f3 48 ad f4', 5n],
    ['repe cmpsb, equal', 'f3 a6 f4', 5n],
    ['repne scasb, none equal', 'f2 ae f4', 5n],
  ])('%s counts each iteration, and can be left after any', (_name, code, count) => {
    for (let part = 1; part <= 5; part++) {
      m.write(DATA, new Array(64).fill(1));
      m.start(code);
      const { gpr } = m.cpu.regs;
      gpr[1] = count;
      gpr[6] = BigInt(DATA);
      gpr[7] = BigInt(DATA + 0x20);
      expect(m.cpu.run(part)).toBe(Exit.budget);
      expect(m.cpu.retired).toBe(part);
      expect(gpr[1]).toBe(count - BigInt(part));
      expect(m.cpu.regs.rip).toBe(BigInt(part === 5 ? CODE + code.split(' ').length - 1 : CODE));
      expect(m.cpu.run(100)).toBe(Exit.privileged);
      expect(m.cpu.retired).toBe(5 - part);
    }
  });

  it('a REP without iterations is one instruction', () => {
    m.start('f3 a4 f3 aa f4');
    expect(m.cpu.run(100)).toBe(Exit.privileged);
    expect(m.cpu.retired).toBe(2);
  });

  it('repe cmpsb and repne scasb stop behind the element that decides', () => {
    m.write(DATA, [1, 2, 3, 4, 5]);
    m.write(DATA + 0x20, [1, 2, 9, 4, 5]);
    m.start('f3 a6 f4 b0 04 b9 05 00 00 00 bf 00 40 00 00 f2 ae f4');
    const { gpr } = m.cpu.regs;
    gpr[1] = 5n;
    gpr[6] = BigInt(DATA);
    gpr[7] = BigInt(DATA + 0x20);
    m.cpu.run(100);
    expect([m.cpu.retired, gpr[1], gpr[6], m.cpu.regs.rflags & 0x40n]).toEqual([3, 2n, BigInt(DATA + 3), 0n]);
    m.cpu.regs.rip += 1n;
    m.cpu.run(100);
    expect([m.cpu.retired, gpr[1], gpr[7], m.cpu.regs.rflags & 0x40n]).toEqual([
      7,
      1n,
      BigInt(DATA + 4),
      0x40n,
    ]);
  });

  it.each([
    ['rep movsb', 'f3 a4', 1],
    ['rep movsq', 'f3 48 a5', 8],
    ['rep stosb', 'f3 aa', 1],
    ['rep stosw', 'f3 66 ab', 2],
  ])('%s into an absent page keeps what was done, counts it and goes on there', (_name, code, size) => {
    const room = 64 / size;
    m.start(code);
    const { gpr } = m.cpu.regs;
    gpr[0] = 0x5a5a_5a5a_5a5a_5a5an;
    gpr[1] = 1000n;
    gpr[6] = BigInt(DATA);
    gpr[7] = 0x1_0000n - 64n; // page 15 is the last
    expect(m.cpu.run(5000)).toBe(Exit.exception);
    expect([m.cpu.vector, m.cpu.errorCode, m.cpu.cr2]).toEqual([14, 6, 0x1_0000n]);
    expect([m.cpu.retired, gpr[1], gpr[7]]).toEqual([room, BigInt(1000 - room), 0x1_0000n]);
    expect(m.cpu.regs.rip).toBe(BigInt(CODE));
  });

  it('overlapping REP MOVS repeats the pattern, backwards moves do not', () => {
    const bytes = (): number[] => [...m.machine.bytes.subarray(m.base + DATA, m.base + DATA + 8)];
    const move = (code: string, from: number, to: number, count: number): number[] => {
      m.write(DATA, [1, 2, 3, 4, 5, 6, 7, 8]);
      m.start(code);
      const { gpr } = m.cpu.regs;
      gpr[1] = BigInt(count);
      gpr[6] = BigInt(DATA + from);
      gpr[7] = BigInt(DATA + to);
      m.cpu.run(100);
      return bytes();
    };
    expect(move('fc f3 a4 f4', 0, 2, 6)).toEqual([1, 2, 1, 2, 1, 2, 1, 2]);
    expect(move('fc f3 66 a5 f4', 0, 1, 3)).toEqual([1, 1, 2, 2, 4, 4, 6, 8]);
    expect(move('fc f3 a4 f4', 2, 0, 6)).toEqual([3, 4, 5, 6, 7, 8, 7, 8]);
    expect(move('fd f3 a4 f4', 5, 7, 6)).toEqual([1, 2, 1, 2, 3, 4, 5, 6]);
  });

  it('a faulting instruction counts nothing, the ones before it do', () => {
    m.start('90 90 90 48 8b 04 25 00 00 10 00');
    expect(m.cpu.run(100)).toBe(Exit.exception);
    expect(m.cpu.retired).toBe(3);
    m.start('90 0f 0b');
    m.cpu.run(100);
    expect([m.cpu.vector, m.cpu.retired, m.cpu.regs.rip]).toEqual([6, 1, BigInt(CODE + 1)]);
    m.start('90 31 c9 f7 f1'); // xor ecx, ecx; div ecx
    m.cpu.run(100);
    expect([m.cpu.vector, m.cpu.errorCode, m.cpu.retired]).toEqual([0, -1, 2]);
  });

  it('RDTSC reads the count', () => {
    m.start('90 90 0f 31 48 89 c3 0f 01 f9 f4');
    m.cpu.tsc = 0x1_0000_0000n;
    m.cpu.run(100);
    expect([m.cpu.regs.gpr[3], m.cpu.regs.gpr[0], m.cpu.regs.gpr[2], m.cpu.regs.gpr[1]]).toEqual([
      2n,
      4n,
      1n,
      0n,
    ]);
    expect(m.cpu.tsc).toBe(0x1_0000_0005n);
  });
});
