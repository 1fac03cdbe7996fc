import { FLAT_KERNEL_CS, FLAT_KERNEL_SS, VMASST_TYPE_architectural_iopl } from '@xenolith/xen-abi';
import { FLAG, GPR, SEG, U64, XEN_AREA_END, XEN_AREA_START } from '../arch/x86.js';
import { type Running, toggleGuestMode } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';

/** An entry into the guest's kernel. */
export interface Bounce {
  /** Handler; 0 is none, and crashes the domain. */
  address: bigint;
  /** Set the upcall mask on entry. */
  masksEvents: boolean;
  errorCode?: number;
  /** Failsafe callback: the selectors of DS, ES, FS and GS. */
  segments?: readonly number[];
}

/** TF, RF, NT and VM are cleared by any trap; AC so that the kernel gets no alignment checks. */
const WITHOUT_CLEARED = ~(FLAG.ac | FLAG.vm | FLAG.rf | FLAG.nt | FLAG.tf);
const WITHOUT_IF_AND_IOPL = ~(FLAG.if | FLAG.iopl);

/** The frame that is being built, in `words` words. */
const frame = new BigUint64Array(12);

/**
 * Builds the frame with which Xen enters a 64-bit PV kernel and points the running vCPU at the handler
 * (create_bounce_frame of xen/arch/x86/x86_64/entry.S):
 *
 * ```text
 *        ┌──────────────────────────────────────────────┐ ← 16-byte aligned: RSP, or kernel_sp from user mode
 *  +48   │ SS                                           │
 *  +40   │ RSP                                          │
 *  +32   │ RFLAGS, IF = not masked, IOPL if architectural│
 *  +24   │ CS (RPL 0: kernel)      saved mask at bit 32 │
 *  +16   │ RIP                                          │
 *        │ error code, if the exception has one         │
 *        │ GS, FS, ES, DS: failsafe callback only       │
 *   +8   │ R11                                          │
 *   +0   │ RCX                                          │ ← RSP of the handler
 *        └──────────────────────────────────────────────┘
 * ```
 *
 * A kernel stack that cannot be written, or no handler (but of the failsafe callback, which is not looked at), crashes the
 * domain. Returns whether the vCPU may go on.
 */
export function createBounceFrame(run: Running, vcpu: Vcpu, bounce: Bounce): boolean {
  const { regs } = run.cpu;
  const { domain } = vcpu;
  let cs = regs.selectors[SEG.cs]!;
  let top = regs.gpr[GPR.rsp]!;
  if (vcpu.kernelMode) {
    cs &= ~3;
  } else {
    toggleGuestMode(run, vcpu);
    top = vcpu.kernelSp;
  }
  top &= ~0xfn;
  if (top > XEN_AREA_START && top < XEN_AREA_END + 64n) {
    domain.crash(`kernel stack pointer ${top.toString(16)} lies in Xen's area`);
    return false;
  }

  const mask = run.info.upcallMask(vcpu);
  let flags = regs.rflags & WITHOUT_IF_AND_IOPL;
  if (mask === 0) flags |= FLAG.if;
  if (domain.hasAssist(VMASST_TYPE_architectural_iopl)) flags |= BigInt(vcpu.iopl) << 12n;
  let words = 0;
  frame[words++] = regs.gpr[GPR.rcx]!;
  frame[words++] = regs.gpr[GPR.r11]!;
  if (bounce.segments) for (const selector of bounce.segments) frame[words++] = BigInt(selector);
  if (bounce.errorCode !== undefined) frame[words++] = BigInt(bounce.errorCode >>> 0);
  frame[words++] = regs.rip;
  frame[words++] = BigInt(cs + mask * 2 ** 32);
  frame[words++] = flags;
  frame[words++] = regs.gpr[GPR.rsp]!;
  frame[words++] = BigInt(regs.selectors[SEG.ss]!);
  const sp = U64(top - BigInt(words * 8));
  if (!push(run, sp, words)) {
    domain.crash(`cannot write a trap frame to the kernel stack at ${sp.toString(16)}`);
    return false;
  }
  if (bounce.address === 0n && !bounce.segments) {
    domain.crash('trap without a handler');
    return false;
  }

  if (bounce.masksEvents) run.info.setUpcallMask(vcpu, mask | 1);
  vcpu.returnsBySysret = true;
  regs.rflags = regs.rflags & WITHOUT_CLEARED;
  regs.selectors[SEG.ss] = FLAT_KERNEL_SS;
  regs.selectors[SEG.cs] = FLAT_KERNEL_CS;
  regs.long = true;
  regs.gpr[GPR.rsp] = sp;
  regs.rip = bounce.address;
  return true;
}

function push(run: Running, sp: bigint, words: number): boolean {
  // Nearly always the frame lies in one page.
  const length = words * 8;
  if (Number(sp & 0xfffn) + length <= 4096) {
    const machine = run.access.machineAddress(sp, 1);
    if (machine < 0) return false;
    for (let i = 0; i < words; i++) run.cpu.view.setBigUint64(machine + i * 8, frame[i]!, true);
    run.cpu.codeWritten(machine, length);
    return true;
  }
  for (let i = 0; i < words; i++) if (!run.access.writeU64(U64(sp + BigInt(i * 8)), frame[i]!)) return false;
  return true;
}
