import { IretContext, VGCF_in_syscall, VMASST_TYPE_architectural_iopl } from '@xenolith/xen-abi';
import { DESC, FLAG, GPR, SEG } from '../arch/x86.js';
import { isFault } from '../domain/descriptors.js';
import { type Running, toggleGuestMode } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';
import { checkCodeSegment, checkDataSegment, injectSegmentFault } from './segments.js';

/** The frame that is being popped. */
const copied = new Uint8Array(IretContext.size);
const frame = new DataView(copied.buffer);
type Field = keyof typeof IretContext.offset;
const word = (field: Field): bigint => frame.getBigUint64(IretContext.offset[field], true);
const half = (field: Field): number => frame.getUint16(IretContext.offset[field], true);

/**
 * HYPERVISOR_iret: pops an `iret_context` off the kernel's stack and continues there, in user mode when its CS has RPL 3
 * (xen/arch/x86/pv/iret.c). Returns the value for RAX. A frame that cannot be read crashes the domain.
 */
export function guestIret(run: Running, vcpu: Vcpu): bigint {
  const { regs } = run.cpu;
  const { domain } = vcpu;
  if (!run.access.copyInto(regs.gpr[GPR.rsp]!, copied)) {
    domain.crash('fault while reading the IRET frame from the guest stack');
    return 0n;
  }
  const cs = half('cs');
  const flags = word('rflags');
  if ((cs & 3) === 3) {
    if (vcpu.guestTableUser === 0) {
      domain.crash('IRET to user mode without user page tables');
      return 0n;
    }
    toggleGuestMode(run, vcpu);
  }
  if (domain.hasAssist(VMASST_TYPE_architectural_iopl)) vcpu.iopl = Number((flags >> 12n) & 3n);

  regs.rip = word('rip');
  regs.selectors[SEG.cs] = cs | 3;
  regs.rflags = (flags & ~(FLAG.iopl | FLAG.vm)) | FLAG.if;
  regs.gpr[GPR.rsp] = word('rsp');
  regs.selectors[SEG.ss] = half('ss') | 3;
  const bySysret = (word('flags') & BigInt(VGCF_in_syscall)) !== 0n;
  if (!bySysret) {
    vcpu.returnsBySysret = false;
    regs.gpr[GPR.r11] = word('r11');
    regs.gpr[GPR.rcx] = word('rcx');
  }
  run.info.setUpcallMask(vcpu, flags & FLAG.if ? 0 : 1);
  vcpu.nmiMasked = false;
  const rax = word('rax');
  if (!bySysret) checkReturnSegments(run, vcpu, rax);
  return rax;
}

/** Xen's own IRET may fault on the selectors; the guest then gets the exception as if at the place it returns to. */
function checkReturnSegments(run: Running, vcpu: Vcpu, rax: bigint): void {
  const { regs } = run.cpu;
  const code = checkCodeSegment(run, vcpu, regs.selectors[SEG.cs]!);
  if (!isFault(code)) regs.long = (code.high & DESC.long) !== 0;
  const bad = isFault(code) ? code : checkDataSegment(run, vcpu, SEG.ss, regs.selectors[SEG.ss]!);
  if (!isFault(bad)) return;
  regs.gpr[GPR.rax] = rax;
  injectSegmentFault(run, vcpu, bad);
}
