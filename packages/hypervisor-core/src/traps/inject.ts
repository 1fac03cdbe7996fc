import { FLAG, PFEC, VECTOR } from '../arch/x86.js';
import type { Running } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';
import { createBounceFrame } from './bounce-frame.js';

/** Vectors whose frame has an error code. */
const HAS_ERROR_CODE = (1 << 8) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 14) | (1 << 17);

const NAMES = [
  '#DE', '#DB', 'NMI', '#BP', '#OF', '#BR', '#UD', '#NM', '#DF', 'CSO', '#TS', '#NP', '#SS', '#GP', '#PF', 'SPV',
  '#MF', '#AC', '#MC', '#XM', '#VE', '#CP',
]; // biome-ignore format: one row of sixteen
export const vectorName = (vector: number): string => NAMES[vector] ?? `vector ${vector}`;

/** Gives a processor exception to the running vCPU's kernel, through its trap table. */
export function injectException(run: Running, vcpu: Vcpu, vector: number, errorCode = 0): void {
  bounceTo(run, vcpu, vector, HAS_ERROR_CODE & (1 << vector) ? errorCode : undefined);
}

/** Page fault: CR2 is shown in vcpu_info; the error code's U bit tells the guest's mode, not the processor's. */
export function injectPageFault(run: Running, vcpu: Vcpu, errorCode: number, address: bigint): void {
  vcpu.cr2 = address;
  run.info.setCr2(vcpu, address);
  const code = vcpu.kernelMode ? errorCode & ~PFEC.user : errorCode | PFEC.user;
  bounceTo(run, vcpu, VECTOR.pageFault, code, address);
}

/** INT n that the guest's table allows: no error code. */
export function injectSoftwareInterrupt(run: Running, vcpu: Vcpu, vector: number): void {
  bounceTo(run, vcpu, vector, undefined);
}

/** BS of DR6: a single step. */
const STEP = 1n << 14n;

/** To be called when the hypervisor has executed an instruction for the guest: a set TF traps behind it, as breakpoints do. */
export function instructionDone(run: Running, vcpu: Vcpu, rip: bigint): void {
  const { regs } = run.cpu;
  regs.rip = rip;
  const flags = regs.rflags;
  if (flags & FLAG.rf) regs.rflags = flags & ~FLAG.rf;
  const met = vcpu.debugMet | (flags & FLAG.tf ? STEP : 0n);
  vcpu.debugMet = 0n;
  if (met === 0n) return;
  vcpu.dr6 |= met;
  injectException(run, vcpu, VECTOR.debug);
}

function bounceTo(run: Running, vcpu: Vcpu, vector: number, errorCode: number | undefined, cr2 = 0n): void {
  const { traps } = vcpu;
  const { rip } = run.cpu.regs;
  vcpu.recent.record(1, vector, vector === VECTOR.pageFault ? cr2 : BigInt(errorCode ?? 0), rip);
  if (run.trace.wants('trap')) {
    run.trace.emit({
      class: 'trap',
      domid: vcpu.domain.domid,
      vcpu: vcpu.vcpuId,
      name: vectorName(vector),
      args: {
        rip,
        ...(errorCode !== undefined && { error: errorCode }),
        ...(vector === VECTOR.pageFault && { address: cr2 }),
      },
    });
  }
  const address = traps.address[vector]!;
  if (address === 0n) {
    const code = errorCode === undefined ? '' : `, error code ${errorCode.toString(16)}`;
    const at = vector === VECTOR.pageFault ? ` on ${cr2.toString(16)}` : '';
    vcpu.domain.crash(`no handler for ${vectorName(vector)}${code}${at} at ${rip.toString(16)}`);
    return;
  }
  createBounceFrame(run, vcpu, {
    address,
    masksEvents: traps.masksEvents(vector),
    ...(errorCode !== undefined && { errorCode }),
  });
}
