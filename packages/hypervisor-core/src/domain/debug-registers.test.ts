import { Exit } from '@xenolith/cpu-emulator';
import {
  __HYPERVISOR_get_debugreg,
  __HYPERVISOR_set_debugreg,
  __HYPERVISOR_update_va_mapping,
  __HYPERVISOR_vm_assist,
  EINVAL,
  ENODEV,
  EPERM,
  FLAT_KERNEL_CS64,
  VMASST_CMD_enable,
  VMASST_TYPE_writable_pagetables,
} from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { CR4, FLAG, GPR, VECTOR } from '../arch/x86.js';
import { testHost } from '../testing/test-host.js';

const DB = 0x7000n;
const DEFAULT_DR6 = 0xffff_0ff0n;
/** DR7: breakpoint 0 on a port, of one byte and of four. */
const PORT_BYTE = 0x2_0001n;
const PORT_LONG = 0xe_0001n;

function machine() {
  const host = testHost({}, { vcpus: 2 });
  host.vcpu.traps.set(VECTOR.debug, DB, FLAT_KERNEL_CS64, 0);
  const set = (register: number, value: bigint) => host.hypercall(__HYPERVISOR_set_debugreg, register, value);
  const get = (register: number) => host.hypercall(__HYPERVISOR_get_debugreg, register);
  return { ...host, regs: host.cpu.regs, set, get };
}

// set_debugreg of xen/arch/x86/pv/misc-hypercalls.c
describe('set_debugreg', () => {
  it.each([
    ['an address', 0, 0x1234n, 0],
    ['the last address below Xen', 3, 0x7fff_ffff_ffffn, 0],
    ['one that is not canonical', 1, 0x8000_0000_0000n, -EPERM],
    ['one of Xen', 2, 0xffff_82d0_4000_0000n, -EPERM],
    ['the first one behind Xen', 2, 0xffff_8800_0000_0000n, 0],
    ['high bits of DR6', 6, 1n << 32n, -EINVAL],
    ['high bits of DR7', 7, 1n << 32n, -EINVAL],
    ['general detection', 7, 0x2000n, -EPERM],
    ['a port without DE', 7, PORT_BYTE, -EPERM],
    ['a port that is not enabled', 7, 0x2_0000n, 0],
    ['a register that is not there', 8, 0n, -ENODEV],
    ['a negative one', -1, 0n, -ENODEV],
  ])('%s', (_, register, value, result) => {
    expect(machine().set(register, value)).toBe(result);
  });

  it('sets and clears the reserved bits of DR6 and DR7; DR4 and DR5 are these unless DE is set', () => {
    const { set, get, vcpu } = machine();
    expect([set(4, 0x1000n), get(6), get(4)]).toEqual([0, Number(DEFAULT_DR6), Number(DEFAULT_DR6)]);
    expect([set(5, 0xd800n), get(7), get(5)]).toEqual([0, 0x400, 0x400]);
    vcpu.cr4 |= CR4.de;
    expect([set(4, 0n), get(5), set(6, 0n)]).toEqual([-ENODEV, -ENODEV, 0]);
  });
});

describe('breakpoints', () => {
  it('are in the processor while their vCPU is', () => {
    const m = machine();
    const other = m.start(1, 0x40_2000n);
    m.set(0, 0x5000n);
    m.set(7, 1n);
    expect(m.cpu.breakpoints).toEqual([[0x5000n, 0n, 0n, 0n], 0x401]);
    m.enter(other);
    expect(m.cpu.breakpoints[1]).toBe(0x400);
    m.enter();
    expect(m.cpu.breakpoints).toEqual([[0x5000n, 0n, 0n, 0n], 0x401]);
    Object.assign(m.cpu, { privileged: { op: 'writeDr', register: 7, gpr: GPR.rax }, length: 3 });
    m.regs.gpr[GPR.rax] = 0n;
    m.hv.handle(Exit.privileged);
    expect(m.cpu.breakpoints[1]).toBe(0x400);
  });

  it('gather in DR6 what they met, and come as vector 1', () => {
    const m = machine();
    m.enter();
    for (const [status, dr6] of [
      [1, 0xffff_0ff1n],
      [0x4002, 0xffff_4ff3n],
      [0, 0xffff_4ff3n],
    ] as const) {
      Object.assign(m.cpu, { vector: VECTOR.debug, errorCode: -1, debugStatus: status });
      m.hv.handle(Exit.exception);
      expect([m.regs.rip, m.vcpu.dr6]).toEqual([DB, dr6]);
    }
    m.set(6, 0n);
    expect(m.vcpu.dr6).toBe(DEFAULT_DR6);
  });

  it('run a vCPU that has some in short pieces', () => {
    const m = machine();
    m.hv.run(1_000_000);
    expect(Math.max(...m.cpu.budgets)).toBeGreaterThan(100_000);
    m.cpu.budgets.length = 0;
    m.set(7, 1n);
    m.hv.run(1_000_000);
    expect(m.cpu.budgets).toEqual([10_000]);
  });
});

// check_guest_io_breakpoint of xen/arch/x86/pv/emul-priv-op.c
describe('breakpoints on ports', () => {
  it.each([
    ['a byte', PORT_BYTE, 0x80n, 0x80, true],
    ['the byte behind', PORT_BYTE, 0x80n, 0x81, false],
    ['four bytes, of which one is met', PORT_LONG, 0x82n, 0x83, true],
  ])('%s', (_, dr7, address, port, hits) => {
    const m = machine();
    m.vcpu.cr4 |= CR4.de;
    m.vcpu.iopl = 1;
    expect([m.set(0, address), m.set(7, dr7)]).toEqual([0, 0]);
    expect(m.get(7)).toBe(Number(dr7 | 0x400n));
    // The processor is not told: it never executes the instruction.
    expect(m.cpu.breakpoints[1] & 0xff).toBe(0);
    m.regs.rip = 0x40_1000n;
    Object.assign(m.cpu, { privileged: { op: 'in', port, size: 1 }, length: 2 });
    m.hv.handle(Exit.privileged);
    expect(m.regs.rip).toBe(hits ? DB : 0x40_1002n);
    expect(m.vcpu.dr6).toBe(hits ? DEFAULT_DR6 | 1n : DEFAULT_DR6);
    if (hits) expect(m.hv.access.readU64(m.regs.gpr[GPR.rsp]! + 16n)).toBe(0x40_1002n);
  });
});

describe('RF', () => {
  it('is in the frame of an INT that no gate is open to, and not behind an emulated instruction', () => {
    const m = machine();
    const flags = () => m.hv.access.readU64(m.regs.gpr[GPR.rsp]! + 32n)! & FLAG.rf;
    m.enter();
    for (const [vector, rf] of [
      [0x30, FLAG.rf],
      [VECTOR.breakpoint, 0n],
    ] as const) {
      m.vcpu.traps.set(vector, DB, FLAT_KERNEL_CS64, 3);
      Object.assign(m.cpu, { vector, length: 2 });
      m.hv.handle(Exit.softwareInterrupt);
      expect([m.regs.rip, flags()]).toEqual([DB, rf]);
    }
    m.regs.rflags |= FLAG.rf;
    Object.assign(m.cpu, { privileged: { op: 'cpuid' }, length: 2 });
    m.hv.handle(Exit.privileged);
    expect(m.regs.rflags & FLAG.rf).toBe(0n);
  });
});

// pv_ro_page_fault of xen/arch/x86/pv/ro-page-fault.c
describe('a single step', () => {
  it('traps behind a store to a page table that Xen carried out, and DR6 says nothing', () => {
    const m = machine();
    // Page 14 shows the L1 table, read-only.
    const table = (BigInt(m.domain.p2m[19]!) << 12n) | 5n;
    expect(m.hypercall(__HYPERVISOR_update_va_mapping, m.at(14), table, 2)).toBe(0);
    expect(m.hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables)).toBe(0);
    m.cpu.emulateWrite = () => {
      m.regs.rip = 0x40_1003n;
      return true;
    };
    Object.assign(m.cpu, { vector: VECTOR.pageFault, errorCode: 7, cr2: m.at(14, 8) });
    for (const [flags, rip] of [
      [0x202n, 0x40_1003n],
      [0x202n | FLAG.tf, DB],
    ] as const) {
      m.regs.rip = 0x40_1000n;
      m.regs.rflags = flags;
      m.hv.handle(Exit.exception);
      expect([m.regs.rip, m.vcpu.dr6]).toEqual([rip, DEFAULT_DR6]);
    }
  });
});
