import { Exit, type PrivilegedInstruction } from '@xenolith/cpu-emulator';
import { expect, it } from 'vitest';
import { GPR } from '../arch/x86.js';
import { testHost } from '../testing/test-host.js';

const RIP = 0x40_1234n;

/** A host whose vCPU meets one instruction of 3 bytes. */
function meet(insn: PrivilegedInstruction, prepare?: (host: ReturnType<typeof testHost>) => void) {
  const host = testHost();
  host.enter();
  host.cpu.regs.rip = RIP;
  prepare?.(host);
  Object.assign(host.cpu, { privileged: insn, length: 3 });
  host.hv.handle(Exit.privileged);
  return host;
}
const bytes = (host: ReturnType<typeof testHost>, length: number) =>
  [...host.hv.access.copyFrom(host.at(3), length)!].map((b) => b.toString(16).padStart(2, '0')).join(' ');

it('SGDT shows the vCPU’s GDT in the per-domain area, with Xen’s page behind the guest’s', () => {
  const host = testHost();
  const address = host.at(3);
  const met = meet({ op: 'sgdt', address });
  expect(bytes(met, 10)).toBe('ff ef 00 00 00 00 00 82 ff ff');
  expect(met.cpu.regs.rip).toBe(RIP + 3n);
});

it('32-bit code gets 6 bytes', () => {
  const met = meet({ op: 'sidt', address: testHost().at(3) }, (host) => {
    host.poke(host.at(3), 0x1111_1111_1111_1111n);
    host.cpu.regs.long = false;
  });
  expect(bytes(met, 8)).toBe('ff 0f 00 00 60 40 11 11');
});

it('a page that is not there is a page fault of the guest', () => {
  const met = meet({ op: 'sgdt', address: 0x7777_0000n }, (host) => {
    host.vcpu.traps.set(14, 0x5000n, 0xe033, 0);
  });
  expect([met.cpu.regs.rip, met.vcpu.cr2]).toEqual([0x5000n, 0x7777_0000n]);
});

it.each([
  ['str', 4, 0xe040n],
  ['sldt', 8, 0n],
  ['smsw', 4, 0x8005_0033n],
  ['smsw', 2, 0xaaaa_bbbb_cccc_0033n],
] as const)('%s with an operand of %i bytes', (op, operandSize, expected) => {
  const met = meet({ op, address: undefined, gpr: GPR.rbx, operandSize }, (host) => {
    host.cpu.regs.gpr[GPR.rbx] = 0xaaaa_bbbb_cccc_ddddn;
  });
  expect(met.cpu.regs.gpr[GPR.rbx]).toBe(expected);
});

it('SMSW shows TS, SLDT a table that is loaded', () => {
  const met = meet({ op: 'smsw', address: undefined, gpr: GPR.rbx, operandSize: 4 }, (host) => {
    host.cpu.taskSwitched = true;
  });
  expect(met.cpu.regs.gpr[GPR.rbx]).toBe(0x8005_003bn);
  const loaded = meet({ op: 'sldt', address: testHost().at(3), gpr: 0, operandSize: 4 }, (host) => {
    host.vcpu.ldtEntries = 8;
  });
  expect(bytes(loaded, 2)).toBe('50 e0');
});
