import { disassemble } from '@xenolith/cpu-emulator';
import type { DomainResult } from '@xenolith/host';
import { type CrashReport, firstArgument, HYPERCALLS, vectorName } from '@xenolith/hypervisor-core';

const GPR = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
const SELECTORS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];

const hex = (value: bigint): string => value.toString(16).padStart(16, '0');

/** What a crashed guest looked like, in lines for a person. */
export function crashText({ crash, reason, code }: DomainResult): string {
  if (reason === 'watchdog') return 'the guest hung: its watchdog fired';
  if (!crash) return `the guest crashed (shutdown reason ${code})`;
  const lines = [
    `the guest crashed: ${crash.reason}`,
    `  vCPU ${crash.vcpu} in ${crash.kernelMode ? 'kernel' : 'user'} mode`,
    `  ${instructionText(crash)}`,
    ...rows([
      ...GPR.map((name, i) => [name, crash.gpr[i]!] as const),
      ['rflags', crash.rflags],
      ['cr2', crash.cr2],
    ]),
    ...rows([
      ['fs base', crash.fsBase],
      ['gs base', crash.gsBase],
      ['cr3 mfn', crash.cr3],
    ]),
    `  ${SELECTORS.map((name, i) => `${name} ${(crash.selectors[i] ?? 0).toString(16).padStart(4, '0')}`).join('  ')}`,
  ];
  if (crash.stack.length > 0) {
    lines.push('  Stack:');
    for (let i = 0; i < crash.stack.length; i += 4)
      lines.push(
        `    ${crash.stack
          .slice(i, i + 4)
          .map(hex)
          .join(' ')}`,
      );
  }
  lines.push('  Last hypercalls and traps, the latest at the end:', ...recentLines(crash));
  return lines.join('\n');
}

function instructionText({ code, rip }: CrashReport): string {
  if (code.length === 0) return `rip ${hex(rip)}  (no memory is mapped there)`;
  const { length, text } = disassemble(code, rip, 64);
  const bytes = Array.from(code.subarray(0, Math.max(length, 1)), (b) =>
    b.toString(16).padStart(2, '0'),
  ).join(' ');
  return `rip ${hex(rip)}  ${bytes}  ${text}`;
}

/** Four registers a line. */
function rows(registers: readonly (readonly [string, bigint])[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < registers.length; i += 4) {
    const cells = registers.slice(i, i + 4).map(([name, value]) => `${name.padEnd(8)}${hex(value)}`);
    lines.push(`  ${cells.join('  ')}`);
  }
  return lines;
}

const SHOWN = 16;

function recentLines({ recent }: CrashReport): string[] {
  if (recent.length === 0) return ['    none'];
  return recent.slice(-SHOWN).map(({ kind, code, detail, rip }) => {
    const at = `at ${hex(rip)}`;
    if (kind === 'trap') {
      const page = code === 14 ? ` on ${hex(detail)}` : '';
      return `    trap       ${at}  ${vectorName(code)}${page}`;
    }
    if (kind === 'emulate') return `    emulation  ${at}`;
    const call = HYPERCALLS.get(code);
    const first = call ? firstArgument(call, detail) : detail;
    const shown = typeof first === 'bigint' ? `0x${first.toString(16)}` : first;
    const rest = (call?.args.length ?? 5) > 1 ? '…' : '';
    return `    hypercall  ${at}  ${call?.name ?? `number ${code}`}(${call?.args.length === 0 ? '' : shown + rest})`;
  });
}
