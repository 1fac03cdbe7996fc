import type { DomainResult } from '@xenolith/host';
import type { CrashReport } from '@xenolith/hypervisor-core';
import { __HYPERVISOR_iret, __HYPERVISOR_sched_op, SCHEDOP_block } from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { disassembly } from './commands/disasm.js';
import { crashText } from './crash-text.js';
import { resultText, timeText, traceLine } from './trace-text.js';

describe('trace lines', () => {
  it('tell time, domain, class, name, arguments and result', () => {
    const event = {
      class: 'hypercall',
      domid: 1,
      vcpu: 0,
      name: 'sched_op',
      args: { cmd: 'SCHEDOP_block', arg: 0xfeedn },
      result: 0,
    } as const;
    expect(traceLine(event, 1_000_000_042)).toBe(
      '[   1.000000042] d1v0 hypercall sched_op(cmd=SCHEDOP_block, arg=0xfeed) = 0',
    );
  });

  it('show messages of xenstore as they are read', () => {
    const event = {
      class: 'xenstore',
      domid: 2,
      vcpu: 0,
      name: '> READ',
      args: { request: 7, body: 'name' },
    } as const;
    expect(traceLine(event, 5)).toBe('[   0.000000005] d2v0 xenstore  > READ name');
  });

  it('name errors', () => {
    expect(resultText(-38)).toBe('-ENOSYS');
    expect(resultText(0xffff_ffff_ffff_ffffn)).toBe('-EPERM');
    expect(resultText(-9999)).toBe('-9999');
    expect(resultText(0x40011n)).toBe('0x40011');
    expect(timeText(12_345_000_000_001)).toBe('12345.000000001');
  });
});

describe('crash reports', () => {
  const crash: CrashReport = {
    reason: 'no handler for #UD at ffffffff80001000',
    vcpu: 0,
    state: 'running',
    others: [],
    gpr: Array.from({ length: 16 }, (_, i) => BigInt(i) << 60n),
    rip: 0xffff_ffff_8000_1000n,
    rflags: 0x246n,
    selectors: [0, 0xe033, 0xe02b, 0, 0, 0],
    fsBase: 0n,
    gsBase: 0n,
    cr2: 0n,
    cr3: 0x1234n,
    kernelMode: true,
    code: Uint8Array.of(0x0f, 0x0b, 0x90),
    stack: [1n, 2n],
    recent: [
      { kind: 'hypercall', code: __HYPERVISOR_sched_op, detail: BigInt(SCHEDOP_block), rip: 0x10n },
      { kind: 'hypercall', code: __HYPERVISOR_iret, detail: 5n, rip: 0x18n },
      { kind: 'trap', code: 14, detail: 0xdead_000n, rip: 0x20n },
    ],
  };

  it('say reason, instruction, registers, stack and what came before', () => {
    const text = crashText({ reason: 'crash', code: 3, restarts: 0, crash });
    for (const part of [
      'the guest crashed: no handler for #UD',
      'vCPU 0 in kernel mode',
      '0f 0b  ud2',
      'r15     f000000000000000',
      'cs e033',
      'cr3 mfn 0000000000001234',
      'sched_op(SCHEDOP_block…)',
      'iret()',
      '#PF on 000000000dead000',
    ]) {
      expect(text).toContain(part);
    }
  });

  it('say the same of every vCPU, the one that crashed first', () => {
    const { others: _, reason: __, ...other } = { ...crash, vcpu: 0, state: 'blocked' as const };
    const text = crashText({
      reason: 'crash',
      code: 3,
      restarts: 0,
      crash: { ...crash, vcpu: 1, others: [other, { ...other, vcpu: 2, kernelMode: false, state: 'down' }] },
    });
    expect(text.match(/^ {2}vCPU .*$/gm)).toEqual([
      '  vCPU 1 in kernel mode',
      '  vCPU 0 in kernel mode, blocked',
      '  vCPU 2 in user mode, down',
    ]);
    expect(text.match(/^ {2}rip /gm)).toHaveLength(3);
    expect(text.match(/Last hypercalls/g)).toHaveLength(3);
  });

  it('do without what is not known', () => {
    const lost: DomainResult = { reason: 'crash', code: 3, restarts: 0 };
    expect(crashText(lost)).toBe('the guest crashed (shutdown reason 3)');
    expect(crashText({ ...lost, reason: 'watchdog', code: 4 })).toContain('watchdog');
    expect(crashText({ ...lost, crash: { ...crash, code: new Uint8Array(0), recent: [] } })).toContain(
      'no memory is mapped there',
    );
  });
});

describe('disassembly', () => {
  it('shows addresses, bytes and text', () => {
    const bytes = Uint8Array.of(0x48, 0x8b, 0x07, 0x0f, 0x05);
    expect(disassembly({ bytes, address: 0x1000n }, 9, 64)).toEqual([
      '    1000:  48 8b 07                       mov rax, qword [rdi]',
      '    1003:  0f 05                          syscall',
    ]);
    expect(disassembly({ bytes, address: 0n }, 1, 64)).toHaveLength(1);
  });

  it('gets over bytes that are no instruction, and over the end', () => {
    const lines = disassembly({ bytes: Uint8Array.of(0x06, 0xe8, 0x00), address: 0n }, 9, 64);
    expect(lines[0]).toContain('(bad)');
    expect(lines.length).toBeGreaterThan(1);
  });
});
