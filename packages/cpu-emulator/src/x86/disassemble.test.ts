import { describe, expect, it } from 'vitest';
import { disassemble } from './disassemble.js';

const text = (hexBytes: string, mode: 64 | 32 = 64): string =>
  disassemble(Uint8Array.from(hexBytes.split(' ').map((b) => Number.parseInt(b, 16))), 0x1000n, mode).text;

describe('disassemble', () => {
  it.each([
    ['48 01 d8', 'add rax, rbx'],
    ['83 6c 24 08 01', 'sub dword [rsp+0x8], 0x1'],
    ['65 48 8b 04 25 28 00 00 00', 'mov rax, qword gs:[0x28]'],
    ['8b 05 10 00 00 00', 'mov eax, dword [rip+0x10] (0x1016)'],
    ['f0 0f b1 0f', 'lock cmpxchg dword [rdi], ecx'],
    ['75 fe', 'jne 0x1000'],
    ['f3 48 ab', 'rep stosq'],
    ['0f 22 d8', 'mov cr3, rax'],
    ['0f 05', 'syscall'],
    ['40 88 f4', 'mov spl, sil'],
    ['88 f4', 'mov ah, dh'],
    ['48 98', 'cdqe'],
    ['f3 0f 1e fa', 'endbr64'],
    ['0f ff', '(bad)'],
    ['48', '(truncated)'],
  ])('%s is %s', (bytes, expected) => {
    expect(text(bytes)).toBe(expected);
  });

  it('knows what only 32-bit code has', () => {
    expect(text('40', 32)).toBe('inc eax');
    expect(text('40')).toBe('(truncated)');
  });
});
