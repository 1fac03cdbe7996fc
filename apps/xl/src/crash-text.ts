import { disassemble } from '@xenolith/cpu-emulator';
import type { DomainResult } from '@xenolith/host';
import {
  firstArgument,
  HYPERCALLS,
  type RecentEvent,
  type VcpuReport,
  vectorName,
} from '@xenolith/hypervisor-core';

const GPR = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
const SELECTORS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];

/** Hypercalls and traps that are shown of the vCPU that crashed, and of each other one. */
const SHOWN = 16;
const SHOWN_OF_OTHERS = 4;

const hex = (value: bigint): string => value.toString(16).padStart(16, '0');

/** What a crashed guest looked like, in lines for a person. */
export function crashText({ crash, reason, code }: DomainResult, guest = 'the guest'): string {
  const what = reason === 'watchdog' ? `${guest} hung: its watchdog fired` : `${guest} crashed`;
  if (!crash) return reason === 'watchdog' ? what : `${what} (shutdown reason ${code})`;
  const others = crash.others.flatMap((vcpu) => vcpuLines(vcpu, SHOWN_OF_OTHERS));
  return [
    reason === 'watchdog' ? what : `${what}: ${crash.reason}`,
    ...vcpuLines(crash, SHOWN),
    ...others,
  ].join('\n');
}

function vcpuLines(report: VcpuReport, recent: number): string[] {
  const { vcpu, kernelMode, state } = report;
  const lines = [
    `  vCPU ${vcpu} in ${kernelMode ? 'kernel' : 'user'} mode${state === 'running' ? '' : `, ${state}`}`,
    `  ${instructionText(report)}`,
    ...rows([
      ...GPR.map((name, i) => [name, report.gpr[i]!] as const),
      ['rflags', report.rflags],
      ['cr2', report.cr2],
    ]),
    ...rows([
      ['fs base', report.fsBase],
      ['gs base', report.gsBase],
      ['cr3 mfn', report.cr3],
    ]),
    `  ${SELECTORS.map((name, i) => `${name} ${(report.selectors[i] ?? 0).toString(16).padStart(4, '0')}`).join('  ')}`,
  ];
  if (report.stack.length > 0) {
    lines.push('  Stack:');
    for (let i = 0; i < report.stack.length; i += 4)
      lines.push(
        `    ${report.stack
          .slice(i, i + 4)
          .map(hex)
          .join(' ')}`,
      );
  }
  lines.push(
    '  Last hypercalls and traps, the latest at the end:',
    ...recentLines(report.recent.slice(-recent)),
  );
  return lines;
}

function instructionText({ code, rip }: VcpuReport): string {
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

function recentLines(recent: readonly RecentEvent[]): string[] {
  if (recent.length === 0) return ['    none'];
  return recent.map(({ kind, code, detail, rip }) => {
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
