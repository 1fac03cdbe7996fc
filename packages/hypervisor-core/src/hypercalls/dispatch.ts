import { ENOSYS, ERESTART } from '@xenolith/xen-abi';
import { GPR } from '../arch/x86.js';
import type { Vcpu } from '../domain/vcpu.js';
import type { Hypervisor } from '../hypervisor.js';
import { HYPERCALLS } from './table.js';
import { traceHypercall } from './trace.js';

/** What every hypercall costs, beside what it does. */
const CALL_WORK = 10;

/**
 * Makes one hypercall and returns its result; −ERESTART: it goes on with the arguments of `PvMemory.takeContinuation`.
 * `nested`: inside a multicall.
 */
export function makeHypercall(
  hv: Hypervisor,
  vcpu: Vcpu,
  number: number,
  args: readonly bigint[],
  nested = false,
): number | bigint {
  const hypercall = HYPERCALLS.get(number);
  hv.memory.work.done += CALL_WORK;
  let result: number | bigint;
  if (hypercall) {
    result = hypercall.handler({
      hv,
      vcpu,
      domain: vcpu.domain,
      guest: hv.access,
      args,
      make: (other, otherArgs) => makeHypercall(hv, vcpu, other, otherArgs, true),
    });
  } else {
    result = -ENOSYS;
    hv.log.log('warn', 'hypercall', `Domain ${vcpu.domain.domid} made the unknown hypercall ${number}.`);
  }
  if (hv.trace.wants('hypercall')) traceHypercall(hv, vcpu, number, args, result, nested);
  return result;
}

const ARGUMENTS = [GPR.rdi, GPR.rsi, GPR.rdx, GPR.r10, GPR.r8, GPR.r9] as const;

/** A SYSCALL of the guest's kernel: RAX the number, and afterwards the result. */
export function handleHypercall(hv: Hypervisor, vcpu: Vcpu, length: number): void {
  const { regs } = hv.cpu;
  const { gpr } = regs;
  const number = Number(gpr[GPR.rax]!);
  // As ARGUMENTS has them; written out because this is done at each hypercall.
  const args = [gpr[GPR.rdi]!, gpr[GPR.rsi]!, gpr[GPR.rdx]!, gpr[GPR.r10]!, gpr[GPR.r8]!, gpr[GPR.r9]!];
  vcpu.recent.record(0, number, args[0]!, regs.rip);
  const { memory } = hv;
  const result = memory.work.limited(() => makeHypercall(hv, vcpu, number, args));
  const rest = result === -ERESTART ? memory.takeContinuation() : undefined;
  if (rest) {
    // The guest makes the call again with what is left to do.
    rest.forEach((value, i) => {
      gpr[ARGUMENTS[i]!] = value;
    });
    regs.rip = BigInt.asUintN(64, regs.rip - BigInt(length));
    return;
  }
  gpr[GPR.rax] = BigInt.asUintN(64, BigInt(result));
}
