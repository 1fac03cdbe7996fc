import { FLAT_KERNEL_CS, FLAT_KERNEL_SS, FLAT_USER_CS32 } from '@xenolith/xen-abi';
import { FLAG, GPR, isCanonical, SEG, VECTOR } from '../arch/x86.js';
import type { Running } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';
import { createBounceFrame } from './bounce-frame.js';
import { injectException } from './inject.js';

/**
 * What must happen before the running vCPU goes on: NMIs, then an event upcall if one is pending and not masked, then the
 * return itself (test_all_events and restore_all_guest of xen/arch/x86/x86_64/entry.S).
 */
export function prepareReturn(run: Running, vcpu: Vcpu): void {
  const { traps } = vcpu;
  if (vcpu.nmiPending && !vcpu.nmiMasked) {
    vcpu.nmiPending = false;
    // Without a handler the edge is lost, as on Xen.
    if (traps.address[VECTOR.nmi] !== 0n) {
      vcpu.nmiMasked = true;
      injectException(run, vcpu, VECTOR.nmi);
    }
  }
  if (run.info.mustDeliver(vcpu)) {
    if (run.trace.wants('event')) {
      run.trace.emit({ class: 'event', domid: vcpu.domain.domid, vcpu: vcpu.vcpuId, name: 'upcall' });
    }
    createBounceFrame(run, vcpu, { address: vcpu.event.address, masksEvents: true });
  }
  if (vcpu.returnsBySysret) returnBySysret(run, vcpu);
}

const WITHOUT_IOPL_AND_VM = ~(FLAG.iopl | FLAG.vm);

/** SYSRET loads RIP from RCX and RFLAGS from R11, and flat segments; IRET is used when RIP is not canonical, and faults. */
function returnBySysret(run: Running, vcpu: Vcpu): void {
  const { regs } = run.cpu;
  vcpu.returnsBySysret = false;
  const { rip } = regs;
  if (!isCanonical(rip)) {
    if (!vcpu.domain.stopped) injectException(run, vcpu, VECTOR.generalProtection, 0);
    // The handler's address was checked when it was registered, so this ends.
    if (vcpu.returnsBySysret && isCanonical(regs.rip)) returnBySysret(run, vcpu);
    return;
  }
  regs.gpr[GPR.rcx] = rip;
  regs.gpr[GPR.r11] = (regs.rflags & WITHOUT_IOPL_AND_VM) | FLAG.if;
  const compat = regs.selectors[SEG.cs] === FLAT_USER_CS32;
  regs.selectors[SEG.cs] = compat ? FLAT_USER_CS32 : FLAT_KERNEL_CS;
  regs.selectors[SEG.ss] = FLAT_KERNEL_SS;
  regs.long = !compat;
}
