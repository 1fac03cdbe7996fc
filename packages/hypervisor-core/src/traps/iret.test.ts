import { Exit } from '@xenolith/cpu-emulator';
import { __HYPERVISOR_iret, FLAT_KERNEL_CS64, VGCF_in_syscall } from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { FLAG, GPR, SEG, VECTOR } from '../arch/x86.js';
import { testHost } from '../testing/test-host.js';
import { prepareReturn } from './upcalls.js';

/** Makes an IRET with this frame; the handler of #GP is at 0x5000. */
function iret(frame: Partial<Record<'flags' | 'cs' | 'rflags' | 'ss' | 'rip', bigint>>) {
  const host = testHost();
  host.vcpu.traps.set(VECTOR.generalProtection, 0x5000n, FLAT_KERNEL_CS64, 0);
  // GDT in page 14: 5 is user data, 6 user code of 64 bits.
  const gdt = host.frame(14) * 4096;
  host.machine.view.setBigUint64(gdt + 5 * 8, 0x00cf_f300_0000_ffffn, true);
  host.machine.view.setBigUint64(gdt + 6 * 8, 0x00af_fb00_0000_ffffn, true);
  host.vcpu.gdtFrames = [host.frame(14)];
  host.vcpu.gdtEntries = 512;
  const sp = host.at(15, 0x400);
  const { flags = 0n, cs = 0x33n, rflags = 0x246n, ss = 0x2bn, rip = 0x40_2000n } = frame;
  host.poke(sp, 0xaan, 0x11n, 0xccn, flags, rip, cs, rflags, host.at(3, 0x10), ss);
  host.cpu.regs.gpr[GPR.rsp] = sp;
  host.cpu.regs.gsBase = 0x6000n;
  host.vcpu.gsBaseUser = 0x7000n;
  const { regs } = host.cpu;
  host.enter();
  regs.gpr[GPR.rax] = BigInt(__HYPERVISOR_iret);
  host.cpu.length = 2;
  host.hv.handle(Exit.syscall);
  return { ...host, regs };
}

describe('HYPERVISOR_iret', () => {
  it('returns to user mode: other tables, other GS, all registers as saved, events unmasked', () => {
    const { regs, vcpu, cpu, domain, hv, at } = iret({});
    expect(vcpu.kernelMode).toBe(false);
    expect(cpu.root).toBe(domain.p2m[20]);
    expect([regs.gsBase, vcpu.gsBaseKernel]).toEqual([0x7000n, 0x6000n]);
    expect([regs.gpr[GPR.rax], regs.gpr[GPR.rcx], regs.gpr[GPR.r11]]).toEqual([0xaan, 0xccn, 0x11n]);
    expect([regs.rip, regs.gpr[GPR.rsp]]).toEqual([0x40_2000n, at(3, 0x10)]);
    expect([regs.selectors[SEG.cs], regs.selectors[SEG.ss], regs.long]).toEqual([0x33, 0x2b, true]);
    expect(hv.info.upcallMask(vcpu)).toBe(0);
    prepareReturn(hv, vcpu);
    expect(regs.gpr[GPR.rcx]).toBe(0xccn);
  });

  it('stays in kernel mode for RPL 0, masks events when IF is clear, and forces RPL 3', () => {
    const { regs, vcpu, hv } = iret({ cs: BigInt(FLAT_KERNEL_CS64 & ~3), rflags: 0x46n | FLAG.iopl });
    expect(vcpu.kernelMode).toBe(true);
    expect(regs.selectors[SEG.cs]).toBe(FLAT_KERNEL_CS64);
    expect(regs.rflags & (FLAG.if | FLAG.iopl)).toBe(FLAG.if);
    expect(hv.info.upcallMask(vcpu)).toBe(1);
  });

  it('as a return from a system call loses RCX and R11, as SYSRET does', () => {
    const { regs, vcpu, hv } = iret({ flags: BigInt(VGCF_in_syscall) });
    prepareReturn(hv, vcpu);
    expect([regs.gpr[GPR.rcx], regs.gpr[GPR.r11]]).toEqual([0x40_2000n, 0x246n]);
    expect(regs.selectors[SEG.cs]).toBe(FLAT_KERNEL_CS64);
  });

  it('gives the guest a #GP with the selector when CS cannot be loaded', () => {
    const { regs, hv } = iret({ cs: 0x3bn });
    expect(regs.rip).toBe(0x5000n);
    const sp = regs.gpr[GPR.rsp]!;
    expect(hv.access.readU64(sp + 16n)).toBe(0x38n);
    expect(hv.access.readU64(sp + 24n)).toBe(0x40_2000n);
  });

  it('crashes a domain whose frame cannot be read, or that has no user tables', () => {
    const host = testHost();
    host.enter();
    host.cpu.regs.gpr[GPR.rsp] = 0x1000n;
    host.hypercall(__HYPERVISOR_iret);
    expect(host.domain.crashReport?.reason).toMatch(/IRET frame/);

    const other = testHost();
    other.hv.memory.setUserBase(other.vcpu, 0);
    other.poke(other.at(15, 0x400), 0n, 0n, 0n, 0n, 0n, 0x33n, 0n, 0n, 0n);
    other.cpu.regs.gpr[GPR.rsp] = other.at(15, 0x400);
    other.hypercall(__HYPERVISOR_iret);
    expect(other.domain.crashReport?.reason).toMatch(/without user page tables/);
  });
});
