import {
  type AccessorOf,
  EINVAL,
  ERESTART,
  VcpuGuestContext,
  VGCF_failsafe_disables_events,
  VGCF_I387_VALID,
  VGCF_in_kernel,
  VGCF_online,
  VGCF_syscall_disables_events,
} from '@xenolith/xen-abi';
import { CR0, cr3ToFrame, FLAG, isCanonical, isGuestAddress, XEN_CR0 } from '../arch/x86.js';
import { ASSIST_MASK } from '../hypercalls/processor-state.js';
import { fixupSelector } from '../hypercalls/trap-handlers.js';
import type { Hypervisor } from '../hypervisor.js';
import { setGdtFrames } from '../memory/index.js';
import { fixupCr4 } from '../traps/privileged.js';
import { setDebugRegister } from './debug-registers.js';
import type { Vcpu } from './vcpu.js';

export type GuestContext = AccessorOf<typeof VcpuGuestContext>;

/**
 * Gives a vCPU that has never run its first state: VCPUOP_initialise, and what a domain builder does for vCPU 0
 * (arch_set_info_guest of xen/arch/x86/domain.c). 0 or a negative errno, then the vCPU is as it was; −ERESTART: make it
 * again.
 */
export function setInfoGuest(hv: Hypervisor, vcpu: Vcpu, context: GuestContext): number {
  const regs = context.user_regs;
  const addresses = [
    regs.rip,
    regs.rsp,
    context.kernel_sp,
    context.fs_base,
    context.gs_base_kernel,
    context.gs_base_user,
    context.event_callback_eip,
    context.syscall_callback_eip,
    context.failsafe_callback_eip,
    ...(context.ldt_ents ? [context.ldt_base] : []),
  ];
  if (!addresses.every(isCanonical)) return -EINVAL;
  for (const trap of context.trap_ctxt) if (!isCanonical(trap.address)) return -EINVAL;
  if (!isGuestAddress(context.ldt_base) || context.ldt_base & 0xfffn || context.ldt_ents > 8192n)
    return -EINVAL;
  const { flags } = context;
  const inKernel = (flags & BigInt(VGCF_in_kernel)) !== 0n;
  if (vcpu.vcpuId === 0 && context.vm_assist & ~ASSIST_MASK) return -EINVAL;
  const gdtEntries = context.gdt_ents;
  if (gdtEntries > 16n * 512n) return -EINVAL;
  const userTable = context.ctrlreg.get(1);
  if (!inKernel && userTable === 0n) return -EINVAL;

  const { memory } = hv;
  const gdt = [...context.gdt_frames].map((frame) => frameNumber(frame));
  let rc = setGdtFrames(memory, vcpu, gdt, Number(gdtEntries));
  if (rc !== 0) return rc;
  rc = memory.setBase(vcpu, frameNumber(cr3ToFrame(context.ctrlreg.get(3))));
  if (rc === 0 && userTable !== 0n) rc = memory.setUserBase(vcpu, frameNumber(cr3ToFrame(userTable)));
  // What it holds by now makes the next attempt shorter.
  if (rc === -ERESTART) return rc;
  if (rc === 0 && vcpu.guestTable === 0) rc = -EINVAL;
  if (rc !== 0) {
    memory.releaseVcpu(vcpu);
    return rc;
  }
  vcpu.ldtEntries = Number(context.ldt_ents);
  vcpu.ldtBase = vcpu.ldtEntries ? context.ldt_base : 0n;

  for (const [vector, trap] of [...context.trap_ctxt].entries()) {
    vcpu.traps.set(vector, trap.address, fixupSelector(trap.cs), trap.flags);
  }
  const has = (flag: number) => (flags & BigInt(flag)) !== 0n;
  vcpu.event = { address: context.event_callback_eip, masksEvents: true };
  vcpu.failsafe = {
    address: context.failsafe_callback_eip,
    masksEvents: has(VGCF_failsafe_disables_events),
  };
  vcpu.syscall = { address: context.syscall_callback_eip, masksEvents: has(VGCF_syscall_disables_events) };
  vcpu.kernelSs = fixupSelector(Number(context.kernel_ss & 0xffffn));
  vcpu.kernelSp = context.kernel_sp;
  vcpu.cr0 = (context.ctrlreg.get(0) & CR0.ts) | (XEN_CR0 & ~CR0.ts);
  vcpu.cr2 = context.ctrlreg.get(2);
  vcpu.cr4 = fixupCr4(context.ctrlreg.get(4));
  for (const n of [0, 1, 2, 3, 6, 7]) setDebugRegister(vcpu, n, context.debugreg.get(n));
  if (vcpu.vcpuId === 0) vcpu.domain.vmAssist = context.vm_assist;

  vcpu.kernelMode = inKernel;
  vcpu.gsBaseKernel = context.gs_base_kernel;
  vcpu.gsBaseUser = context.gs_base_user;
  vcpu.iopl = Number((regs.rflags >> 12n) & 3n);
  const { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 } = regs;
  const fpuAt = context.$base + VcpuGuestContext.offset.fpu_ctxt;
  vcpu.initial = {
    gpr: [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15],
    rip: regs.rip,
    rflags: (regs.rflags & ~FLAG.iopl & ~FLAG.vm) | FLAG.if | 2n,
    selectors: [regs.es, fixupSelector(regs.cs), fixupSelector(regs.ss), regs.ds, regs.fs, regs.gs],
    fsBase: context.fs_base,
    gsBase: inKernel ? context.gs_base_kernel : context.gs_base_user,
    ...(has(VGCF_I387_VALID) && {
      fpu: new Uint8Array(context.$view.buffer, context.$view.byteOffset + fpuAt, 512).slice(),
    }),
  };
  vcpu.initialised = true;
  if (has(VGCF_online)) hv.bringUp(vcpu);
  return 0;
}

/** A frame number, or one that no machine has. */
const frameNumber = (value: bigint): number => (value > 0xffff_ffffn ? 0xffff_ffff : Number(value));
