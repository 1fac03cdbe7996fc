import { beforeAll, describe, expect, it } from 'vitest';
import { Exit } from '../processor.js';
import { type FlatMachine, flatMachine } from '../testing/flat-machine.js';

const DATA = 0x4000;
const linear = (address: number): bigint => BigInt(address);

let m: FlatMachine;
beforeAll(async () => {
  m = await flatMachine(16);
});

/** RBX and RDI point at data, which holds an offset and a selector; RCX and RDX are an MSR and a port. */
function prepare(code: string): void {
  m.start(code);
  m.write(DATA, [0x88, 0x77, 0x66, 0x55, 0x2b, 0x00, 0x11, 0x22, 0x33, 0]);
  m.write(0x8000, [0x63, 0, 0, 0, 0, 0, 0, 0]);
  const { regs } = m.cpu;
  regs.gpr[0] = 0x1234_0000_0000_0063n;
  regs.gpr[1] = 0xffff_ffff_c000_0080n;
  regs.gpr[2] = 0xffff_03f8n;
  regs.gpr[3] = linear(DATA);
  regs.gpr[6] = linear(DATA + 0x20);
  regs.gpr[7] = linear(DATA + 0x40);
  regs.gsBase = 0x100n;
}

const far = { selector: 0, offset: 0n, pop: 0 };

describe('what the hypervisor is told of privileged instructions', () => {
  it.each([
    ['f4', { op: 'hlt' }],
    ['fa', { op: 'cli' }],
    ['fb', { op: 'sti' }],
    ['0f 06', { op: 'clts' }],
    ['0f 08', { op: 'invd' }],
    ['0f 09', { op: 'wbinvd' }],
    ['0f 07', { op: 'sysret' }],
    ['48 0f 07', { op: 'sysret' }],
    ['0f 34', { op: 'sysenter' }],
    ['0f 35', { op: 'sysexit' }],
    ['0f a2', { op: 'cpuid' }],
    ['0f 33', { op: 'rdpmc' }],
    ['0f 01 f8', { op: 'swapgs' }],
    ['0f 01 d1', { op: 'xsetbv' }],
    ['0f 01 c1', { op: 'vmcall' }],
    ['0f 01 d9', { op: 'vmcall' }],
    ['0f 01 c8', { op: 'monitor' }],
    ['0f 01 c9', { op: 'mwait' }],
    ['0f 32', { op: 'rdmsr', index: 0xc000_0080 }],
    ['0f 30', { op: 'wrmsr', index: 0xc000_0080 }],
    ['e4 60', { op: 'in', port: 0x60, size: 1 }],
    ['e5 60', { op: 'in', port: 0x60, size: 4 }],
    ['66 e5 60', { op: 'in', port: 0x60, size: 2 }],
    ['48 ed', { op: 'in', port: 0x3f8, size: 4 }],
    ['ec', { op: 'in', port: 0x3f8, size: 1 }],
    ['e6 80', { op: 'out', port: 0x80, size: 1 }],
    ['ee', { op: 'out', port: 0x3f8, size: 1 }],
    ['66 ef', { op: 'out', port: 0x3f8, size: 2 }],
    ['6c', { op: 'ins', port: 0x3f8, size: 1, rep: false, address: linear(DATA + 0x40), addressSize: 8 }],
    ['f3 6d', { op: 'ins', port: 0x3f8, size: 4, rep: true, address: linear(DATA + 0x40), addressSize: 8 }],
    [
      '65 6e',
      { op: 'outs', port: 0x3f8, size: 1, rep: false, address: linear(DATA + 0x120), addressSize: 8 },
    ],
    [
      '67 f3 66 6f',
      { op: 'outs', port: 0x3f8, size: 2, rep: true, address: linear(DATA + 0x20), addressSize: 4 },
    ],
    ['0f 20 d8', { op: 'readCr', register: 3, gpr: 0 }],
    ['44 0f 20 c3', { op: 'readCr', register: 8, gpr: 3 }],
    ['0f 22 c7', { op: 'writeCr', register: 0, gpr: 7 }],
    ['41 0f 22 e7', { op: 'writeCr', register: 4, gpr: 15 }],
    ['0f 21 f8', { op: 'readDr', register: 7, gpr: 0 }],
    ['0f 23 c1', { op: 'writeDr', register: 0, gpr: 1 }],
    ['0f 01 f0', { op: 'lmsw', value: 0x63 }],
    ['0f 01 33', { op: 'lmsw', value: 0x7788 }],
    ['0f 01 3b', { op: 'invlpg', address: linear(DATA) }],
    ['65 0f 01 7b 08', { op: 'invlpg', address: linear(DATA + 0x108) }],
    ['0f 01 13', { op: 'lgdt', address: linear(DATA) }],
    ['0f 01 5c b3 04', { op: 'lidt', address: linear(DATA + 4 + 4 * (DATA + 0x20)) }],
    ['0f 01 03', { op: 'sgdt', address: linear(DATA) }],
    ['65 0f 01 4b 08', { op: 'sidt', address: linear(DATA + 0x108) }],
    ['0f 00 c1', { op: 'sldt', address: undefined, gpr: 1, operandSize: 4 }],
    ['66 0f 00 c9', { op: 'str', address: undefined, gpr: 1, operandSize: 2 }],
    ['0f 01 23', { op: 'smsw', address: linear(DATA), gpr: 3, operandSize: 4 }],
    ['49 0f 01 e1', { op: 'smsw', address: undefined, gpr: 9, operandSize: 8 }],
    [
      '0f b4 03',
      {
        op: 'loadSegment',
        segment: 4,
        selector: 0x2b,
        popped: 0,
        loaded: { gpr: 0, value: 0x5566_7788n, operandSize: 4 },
      },
    ],
    [
      '48 0f b2 0b',
      {
        op: 'loadSegment',
        segment: 2,
        selector: 0x33,
        popped: 0,
        loaded: { gpr: 1, value: 0x2211_002b_5566_7788n, operandSize: 8 },
      },
    ],
    ['0f 00 d0', { op: 'lldt', selector: 0x63 }],
    ['0f 00 1b', { op: 'ltr', selector: 0x7788 }],
    ['0f 00 e0', { op: 'verr', selector: 0x63, gpr: 4, operandSize: 4 }],
    ['0f 00 2b', { op: 'verw', selector: 0x7788, gpr: 5, operandSize: 4 }],
    ['48 0f 02 c8', { op: 'lar', selector: 0x63, gpr: 1, operandSize: 8 }],
    ['66 0f 03 0b', { op: 'lsl', selector: 0x7788, gpr: 1, operandSize: 2 }],
    ['ff 2b', { op: 'farJump', operandSize: 4, selector: 0x2b, offset: 0x5566_7788n, pop: 0 }],
    ['ff 1b', { op: 'farCall', operandSize: 4, selector: 0x2b, offset: 0x5566_7788n, pop: 0 }],
    ['66 ff 2b', { op: 'farJump', operandSize: 2, selector: 0x5566, offset: 0x7788n, pop: 0 }],
    ['48 ff 2b', { op: 'farJump', operandSize: 8, selector: 0x33, offset: 0x2211_002b_5566_7788n, pop: 0 }],
    ['48 cb', { ...far, op: 'farReturn', operandSize: 8 }],
    ['ca 08 00', { ...far, op: 'farReturn', operandSize: 4, pop: 8 }],
    ['48 cf', { ...far, op: 'iret', operandSize: 8 }],
    ['cf', { ...far, op: 'iret', operandSize: 4 }],
    ['8e d8', { op: 'loadSegment', segment: 3, selector: 0x63, popped: 0 }],
    ['8e 03', { op: 'loadSegment', segment: 0, selector: 0x7788, popped: 0 }],
    ['8e d0', { op: 'loadSegment', segment: 2, selector: 0x63, popped: 0 }],
    ['0f a1', { op: 'loadSegment', segment: 4, selector: 0x63, popped: 8 }],
    ['66 0f a9', { op: 'loadSegment', segment: 5, selector: 0x63, popped: 2 }],
  ])('%s', (code, expected) => {
    prepare(code);
    // Far returns and IRET to the running segments are the processor's own; here the frame holds others.
    m.cpu.regs.selectors[1] = 0x33;
    const before = [...m.cpu.regs.gpr];
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    expect(m.cpu.privileged).toEqual(expected);
    expect(m.cpu.length).toBe(code.split(' ').length);
    expect(m.cpu.retired).toBe(0);
    expect(m.cpu.regs.rip).toBe(0x1000n);
    expect([...m.cpu.regs.gpr]).toEqual(before);
  });

  it.each([
    ['mov to CS', '8e c8'],
    ['mov to segment register 6', '8e f0'],
    ['mov from segment register 7', '8c f8'],
    ['xgetbv', '0f 01 d0'],
    ['rdfsbase', 'f3 0f ae c0'],
    ['push es in 64-bit code', '06'],
    ['les in 64-bit code', 'c4 03'],
    ['sgdt with a register', '0f 01 c0 90'],
    ['movbe with F3', 'f3 0f 38 f0 03'],
    ['movbe with 66 F3', '66 f3 0f 38 f1 03'],
    ['far jump with an immediate in 64-bit code', 'ea 00 00 00 00 00 00'],
  ])('%s is #UD', (_name, code) => {
    prepare(code);
    expect(m.cpu.run(5)).toBe(Exit.exception);
    expect(m.cpu.vector).toBe(6);
  });

  it.each([
    ['8e e0', 4, 'fsBase', 0n],
    ['8e e8', 5, 'gsBase', 0n],
    ['8e d8', 3, 'gsBase', 0x100n],
  ] as const)('%s with a null selector needs no descriptor', (code, segment, base, expected) => {
    prepare(`${code} f4`);
    m.cpu.regs.fsBase = 0x200n;
    m.cpu.regs.gpr[0] = 3n;
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    expect(m.cpu.retired).toBe(1);
    expect(m.cpu.regs.selectors[segment]).toBe(3);
    expect(m.cpu.regs[base]).toBe(expected);
  });

  it('an operand that cannot be read is a page fault', () => {
    for (const code of ['0f 01 33', 'ff 2b', '8e 1b', '0f 00 13']) {
      prepare(code);
      m.cpu.regs.gpr[3] = 0x100_0000n;
      expect(m.cpu.run(5)).toBe(Exit.exception);
      expect([m.cpu.vector, m.cpu.errorCode, m.cpu.cr2]).toEqual([14, 4, 0x100_0000n]);
    }
  });

  it('reading a selector is harmless', () => {
    prepare('8c d8 66 8c e1 8c 27 0f a0 0f a8 f4'); // mov eax, ds; mov cx, fs; mov [rdi], fs; push fs; push gs
    m.cpu.regs.selectors.set([1, 2, 3, 0x2b, 0x53, 0x63]);
    expect(m.cpu.run(10)).toBe(Exit.privileged);
    expect([m.cpu.regs.gpr[0], m.cpu.regs.gpr[1]! & 0xffffn]).toEqual([0x2bn, 0x53n]);
    const stack = m.machine.view;
    expect([
      stack.getUint16(m.base + DATA + 0x40, true),
      stack.getBigUint64(m.base + 0x7ff8, true),
      stack.getBigUint64(m.base + 0x7ff0, true),
    ]).toEqual([0x53, 0x53n, 0x63n]);
  });

  it('IRET and far returns within the running segments happen here', () => {
    prepare('48 cf');
    const push = (...values: bigint[]): void => {
      values.forEach((v, i) => {
        m.machine.view.setBigUint64(m.base + 0x7000 + 8 * i, v, true);
      });
      m.cpu.regs.gpr[4] = 0x7000n;
    };
    m.write(0x5000, [0xf4]);
    m.cpu.regs.selectors.set([0, 0x33, 0x2b]);
    push(0x5000n, 0x33n, 0x8d5n, 0x9000n, 0x2bn);
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    expect([m.cpu.regs.rip, m.cpu.regs.gpr[4], m.cpu.regs.rflags & 0xfffn, m.cpu.retired]).toEqual([
      0x5000n,
      0x9000n,
      0x8d7n,
      1,
    ]);
    prepare('48 ca 10 00');
    m.cpu.regs.selectors.set([0, 0x33, 0x2b]);
    push(0x5000n, 0x33n);
    m.cpu.run(5);
    expect([m.cpu.regs.rip, m.cpu.regs.gpr[4]]).toEqual([0x5000n, 0x7020n]);
    // With TF in the image the hypervisor does it.
    prepare('48 cf');
    m.cpu.regs.selectors.set([0, 0x33, 0x2b]);
    push(0x5000n, 0x33n, 0x102n, 0x9000n, 0x2bn);
    expect(m.cpu.run(5)).toBe(Exit.privileged);
    expect(m.cpu.privileged.op).toBe('iret');
  });
});
