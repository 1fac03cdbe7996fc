import { Exit } from '@xenolith/cpu-emulator';
import {
  FLAT_KERNEL_CS64,
  FLAT_KERNEL_SS64,
  SHUTDOWN_crash,
  VMASST_TYPE_architectural_iopl,
} from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { FLAG, GPR, SEG, VECTOR } from '../arch/x86.js';
import { testHost } from '../testing/test-host.js';
import { createBounceFrame } from './bounce-frame.js';

const HANDLER = 0xffff_ffff_8100_0000n;

/** A host whose vCPU is stopped at a place with known registers. */
function stopped() {
  const host = testHost();
  host.enter();
  const { regs } = host.cpu;
  regs.rip = 0x40_1234n;
  regs.rflags = 0x202n | FLAG.tf | FLAG.ac | FLAG.df;
  regs.gpr[GPR.rcx] = 0xccn;
  regs.gpr[GPR.r11] = 0x11n;
  regs.gpr[GPR.rsp] = host.at(15, 0xff8);
  host.hv.info.setUpcallMask(host.vcpu, 0);
  return { ...host, regs };
}

const words = (host: ReturnType<typeof stopped>, count: number): bigint[] =>
  Array.from({ length: count }, (_, i) => host.hv.access.readU64(host.regs.gpr[GPR.rsp]! + BigInt(i * 8))!);

describe('createBounceFrame', () => {
  it('pushes onto the stack in use when the kernel runs, aligned, with RPL 0 in CS and the mask folded into IF', () => {
    const host = stopped();
    createBounceFrame(host.hv, host.vcpu, { address: HANDLER, masksEvents: true, errorCode: 0xe });
    const { regs } = host;
    expect(regs.gpr[GPR.rsp]).toBe(host.at(15, 0xff0) - 64n);
    const [rcx, r11, error, rip, cs, flags, rsp, ss] = words(host, 8);
    expect([rcx, r11, error, rip]).toEqual([0xccn, 0x11n, 0xen, 0x40_1234n]);
    expect(cs).toBe(BigInt(FLAT_KERNEL_CS64 & ~3));
    expect(flags).toBe(0x202n | FLAG.tf | FLAG.ac | FLAG.df);
    expect([rsp, ss]).toEqual([host.at(15, 0xff8), BigInt(FLAT_KERNEL_SS64)]);
    expect(regs.rip).toBe(HANDLER);
    expect(regs.selectors[SEG.cs]).toBe(FLAT_KERNEL_CS64);
    expect(regs.rflags & (FLAG.tf | FLAG.ac)).toBe(0n);
    expect(regs.rflags & FLAG.df).toBe(FLAG.df);
    expect(host.hv.info.upcallMask(host.vcpu)).toBe(1);
  });

  it('keeps the saved mask beside CS, and clears IF for it', () => {
    const host = stopped();
    host.hv.info.setUpcallMask(host.vcpu, 1);
    createBounceFrame(host.hv, host.vcpu, { address: HANDLER, masksEvents: false });
    const [, , , cs, flags] = words(host, 7);
    expect(cs).toBe((1n << 32n) | BigInt(FLAT_KERNEL_CS64 & ~3));
    expect(flags! & FLAG.if).toBe(0n);
  });

  it('shows the virtual IOPL only when the guest asked for an architectural one', () => {
    for (const assist of [false, true]) {
      const host = stopped();
      host.vcpu.iopl = 1;
      if (assist) host.domain.vmAssist |= 1n << BigInt(VMASST_TYPE_architectural_iopl);
      createBounceFrame(host.hv, host.vcpu, { address: HANDLER, masksEvents: false });
      expect((words(host, 7)[4]! >> 12n) & 3n).toBe(assist ? 1n : 0n);
    }
  });

  it('goes to kernel_sp and the kernel tables from user mode, and swaps GS', () => {
    const host = stopped();
    const { regs } = host;
    host.vcpu.kernelMode = false;
    host.hv.spaces.activate(host.vcpu);
    host.vcpu.gsBaseKernel = 0x6000n;
    regs.gsBase = 0x7000n;
    regs.selectors[SEG.cs] = 0x33;
    regs.selectors[SEG.ss] = 0x2b;
    const user = host.cpu.root;
    createBounceFrame(host.hv, host.vcpu, { address: HANDLER, masksEvents: true });
    expect(user).toBe(host.domain.p2m[20]);
    expect(host.cpu.root).toBe(host.domain.p2m[16]);
    expect(host.vcpu.kernelMode).toBe(true);
    expect([regs.gsBase, host.vcpu.gsBaseUser]).toEqual([0x6000n, 0x7000n]);
    expect(regs.gpr[GPR.rsp]).toBe(host.at(15, 0x800) - 56n);
    const [, , , cs, , , ss] = words(host, 7);
    expect([cs, ss]).toEqual([0x33n, 0x2bn]);
  });

  it('writes frames that cross a page', () => {
    const host = stopped();
    host.regs.gpr[GPR.rsp] = host.at(15, 0x20);
    createBounceFrame(host.hv, host.vcpu, { address: HANDLER, masksEvents: true });
    expect(words(host, 7)[2]).toBe(0x40_1234n);
  });

  it.each([
    ['a stack that is not mapped', 0x1000n, HANDLER],
    ["a stack in Xen's area", 0xffff_8000_0000_1000n, HANDLER],
    ['no handler', 0x40_f800n, 0n],
  ])('crashes the domain for %s', (_, rsp, address) => {
    const host = stopped();
    host.regs.gpr[GPR.rsp] = rsp;
    expect(createBounceFrame(host.hv, host.vcpu, { address, masksEvents: true })).toBe(false);
    expect(host.domain.shutdownCode).toBe(SHUTDOWN_crash);
    expect(host.domain.crashReport?.rip).toBe(0x40_1234n);
  });
});

describe('page faults', () => {
  it('shows CR2 in vcpu_info and the guest’s mode in the error code', () => {
    const host = stopped();
    host.vcpu.traps.set(VECTOR.pageFault, HANDLER, FLAT_KERNEL_CS64, 4);
    Object.assign(host.cpu, { vector: VECTOR.pageFault, errorCode: 6, cr2: 0xdead_b000n });
    host.hv.handle(Exit.exception);
    expect(words(host, 8)[2]).toBe(2n);
    expect(host.machine.view.getBigUint64(host.vcpu.vcpuInfo + 16, true)).toBe(0xdead_b000n);
  });

  it('crashes the domain when there is no handler', () => {
    const host = stopped();
    Object.assign(host.cpu, { vector: VECTOR.pageFault, errorCode: 6, cr2: 0n });
    host.hv.handle(Exit.exception);
    expect(host.domain.crashReport?.reason).toMatch(/no handler for #PF, error code 2 on 0/);
  });
});

describe('INT n', () => {
  it.each([
    [0x80, 0, true, true],
    [0x21, 0, true, false],
    [0x21, 1, true, true],
    [0x21, 1, false, false],
    [0x21, 3, false, true],
  ])('vector %i with DPL %i from kernel mode %s is let through: %s', (vector, dpl, kernel, through) => {
    const host = stopped();
    host.vcpu.traps.set(vector, HANDLER, FLAT_KERNEL_CS64, dpl);
    host.vcpu.traps.set(VECTOR.generalProtection, HANDLER + 0x100n, FLAT_KERNEL_CS64, 0);
    host.vcpu.kernelMode = kernel;
    Object.assign(host.cpu, { vector, length: 2 });
    host.hv.handle(Exit.softwareInterrupt);
    expect(host.regs.rip).toBe(through ? HANDLER : HANDLER + 0x100n);
    const frame = words(host, 8);
    if (through) expect(frame[2]).toBe(0x40_1236n);
    else expect(frame.slice(2, 4)).toEqual([BigInt((vector << 3) | 2), 0x40_1234n]);
  });
});
