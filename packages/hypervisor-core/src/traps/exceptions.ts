import { FAULT_FOREIGN } from '@xenolith/mmu';
import { VMASST_TYPE_writable_pagetables } from '@xenolith/xen-abi';
import { CR0, FLAG, PFEC, VECTOR, XEN_AREA_END, XEN_AREA_START } from '../arch/x86.js';
import type { Running } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';
import { emulateForcedInstruction } from './forced-invalid-op.js';
import { injectException, injectPageFault, injectSoftwareInterrupt } from './inject.js';
import { emulateTableWrite } from './writable-page-tables.js';

/** Error code of a #GP that a gate of the IDT caused. */
const IDT_ERROR = 2;
const LEGACY_SYSCALL = 0x80;

/** An exception of the guest's own code (xen/arch/x86/traps.c). */
export function handleException(
  run: Running,
  vcpu: Vcpu,
  vector: number,
  errorCode: number,
  cr2: bigint,
): void {
  vcpu.returnsBySysret = false;
  switch (vector) {
    case FAULT_FOREIGN:
      // A validated page table leads to a frame that is not the domain's: ours to explain, the domain's to pay for.
      vcpu.domain.crash(`reached a frame of another domain through ${cr2.toString(16)}`);
      return;
    case VECTOR.pageFault:
      handlePageFault(run, vcpu, errorCode, cr2);
      return;
    case VECTOR.invalidOpcode:
      if (!emulateForcedInstruction(run, vcpu)) injectException(run, vcpu, vector);
      return;
    case VECTOR.deviceNotAvailable:
      run.cpu.taskSwitched = false;
      if (vcpu.cr0 & CR0.ts) {
        vcpu.cr0 &= ~CR0.ts;
        injectException(run, vcpu, vector);
      }
      return;
    case VECTOR.debug:
      vcpu.dr6 |= BigInt(run.cpu.debugStatus);
      injectException(run, vcpu, vector);
      return;
    default:
      injectException(run, vcpu, vector, Math.max(errorCode, 0));
  }
}

function handlePageFault(run: Running, vcpu: Vcpu, errorCode: number, address: bigint): void {
  if (errorCode & PFEC.reserved) {
    vcpu.domain.crash(`reserved bits in a page table at ${address.toString(16)}`);
    return;
  }
  const write = PFEC.write | PFEC.present;
  const inXenArea = address >= XEN_AREA_START && address < XEN_AREA_END;
  if (
    vcpu.kernelMode &&
    !inXenArea &&
    (errorCode & write) === write &&
    !(errorCode & PFEC.fetch) &&
    vcpu.domain.hasAssist(VMASST_TYPE_writable_pagetables) &&
    emulateTableWrite(run, vcpu, address)
  ) {
    return;
  }
  injectPageFault(run, vcpu, errorCode, address);
}

/** INT n at rip. Vectors 3 and 4 have open gates, 0x80 a direct one; for the others the guest's DPL decides. */
export function handleSoftwareInterrupt(run: Running, vcpu: Vcpu, vector: number, length: number): void {
  const { regs } = run.cpu;
  vcpu.returnsBySysret = false;
  const open = vector === VECTOR.breakpoint || vector === VECTOR.overflow;
  const direct = vector === LEGACY_SYSCALL && vcpu.traps.address[vector] !== 0n;
  if (!open && !direct && vcpu.traps.dpl(vector) < (vcpu.kernelMode ? 1 : 3)) {
    regs.rflags |= FLAG.rf;
    injectException(run, vcpu, VECTOR.generalProtection, (vector << 3) | IDT_ERROR);
    return;
  }
  // Where no gate is open to it, the processor raises a #GP, with RF set, and Xen leaves that so.
  if (!open && !direct) regs.rflags |= FLAG.rf;
  regs.rip = BigInt.asUintN(64, regs.rip + BigInt(length));
  if (open) injectException(run, vcpu, vector);
  else injectSoftwareInterrupt(run, vcpu, vector);
}
