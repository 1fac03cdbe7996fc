import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Exit } from '../processor.js';
import { flatMachine, hex } from '../testing/flat-machine.js';
import { decode, encodedRows, MAX_LENGTH } from './decode.js';
import { disassemble } from './disassemble.js';

const seed = 20260731;
const modes = [64, 32] as const;

/** Bytes that look like code: opcodes of the table with prefixes, then anything. */
const likely = fc
  .tuple(
    fc.array(fc.constantFrom(0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x64, 0x65, 0x48, 0x41, 0x4f, 0x40), {
      maxLength: 4,
    }),
    fc.constantFrom(...encodedRows),
    fc.array(fc.nat(255), { minLength: 15, maxLength: 15 }),
  )
  .map(([prefixes, { encoding: e }, rest]) => {
    const map = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][e.map]!;
    const mandatory = e.prefix === 'any' || e.prefix === 'none' ? [] : hex(e.prefix);
    return Uint8Array.from([...mandatory, ...prefixes, ...map, e.opcode, ...rest]);
  });
const anything = fc.uint8Array({ minLength: 1, maxLength: 20 });
const bytes = fc.oneof(likely, anything);

describe('the decoder', () => {
  it('never throws, looks at 15 bytes at most, and agrees in length with the disassembler', () => {
    let decoded = 0;
    fc.assert(
      fc.property(bytes, fc.constantFrom(...modes), (code, mode) => {
        const insn = decode(code, 0, mode);
        const text = disassemble(code, 0x1000n, mode);
        expect(text.text.length).toBeGreaterThan(0);
        if (typeof insn === 'string') {
          expect(text.text).toMatch(/^\((bad|truncated)\)$/);
          return;
        }
        decoded++;
        expect(insn.length).toBeLessThanOrEqual(Math.min(MAX_LENGTH, code.length));
        expect(text.length).toBe(insn.length);
        expect(text.text).not.toMatch(/undefined|NaN/);
        // What follows an instruction does not matter, and no prefix of it is another one.
        expect(decode(code.slice(0, insn.length), 0, mode)).toEqual(insn);
        for (let n = 0; n < insn.length; n++) expect(decode(code.slice(0, n), 0, mode)).toBe('incomplete');
      }),
      { numRuns: 5000, seed },
    );
    expect(decoded).toBeGreaterThan(1500);
  });

  it('every instruction that decodes has a handler, and the processor agrees on its length', async () => {
    const m = await flatMachine(16);
    fc.assert(
      fc.property(bytes, fc.constantFrom(...modes), (code, mode) => {
        const insn = decode(code, 0, mode);
        m.start('');
        m.write(0x1000, code);
        m.write(0x1000 + code.length, new Array(16).fill(0xf4));
        m.cpu.regs.long = mode === 64;
        m.cpu.onRandom = () => 1n;
        for (const r of [0, 1, 2, 3, 5, 6, 7]) m.cpu.regs.gpr[r] = 0x4000n;
        const exit = m.cpu.run(1);
        if (typeof insn === 'string') return;
        if (exit === Exit.privileged || exit === Exit.syscall) expect(m.cpu.length).toBe(insn.length);
        // Not a branch, not repeated: rip is behind it.
        const { options } = insn.encoded.row;
        if (exit === Exit.budget && !options.ends && !options.force64 && insn.rep === '') {
          expect(m.cpu.regs.rip).toBe(0x1000n + BigInt(insn.length));
        }
      }),
      { numRuns: 3000, seed },
    );
  });

  it('knows the bounds of what REX, 66 and 67 change', () => {
    const length = (code: string, mode: 64 | 32 = 64): number =>
      (decode(Uint8Array.from(hex(`${code} ${'00 '.repeat(12)}`)), 0, mode) as { length: number }).length;
    expect(length('b8')).toBe(5);
    expect(length('66 b8')).toBe(4);
    expect(length('48 b8')).toBe(10);
    expect(length('a1')).toBe(9);
    expect(length('67 a1')).toBe(6);
    expect(length('a1', 32)).toBe(5);
    expect(length('81 04 25')).toBe(11);
    expect(length('66 81 04 25')).toBe(10);
    // A branch's displacement stays 4 bytes with 66 in 64-bit code.
    expect(length('e9')).toBe(5);
  });
});
