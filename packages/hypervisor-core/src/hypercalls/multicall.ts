import {
  __HYPERVISOR_iret,
  __HYPERVISOR_multicall,
  EFAULT,
  EINVAL,
  ERESTART,
  MulticallEntry,
} from '@xenolith/xen-abi';
import { type Call, u32, u64 } from './call.js';

const { offset, size } = MulticallEntry;
const ARGS = [0, 1, 2, 3, 4, 5] as const;

/**
 * multicall: each entry is a hypercall, whose result is written into it; nesting is refused. It stops between two entries,
 * or with the rest of one: what is left of that is written into the entry, and its result is not there yet.
 */
export function multicall(call: Call): number | bigint {
  const { guest, vcpu, domain } = call;
  const { memory } = call.hv;
  const list = u64(call, 0);
  const count = u32(call, 1);
  if (!guest.inRange(list, Math.min(count, 0xff_ffff) * size)) return -EFAULT;
  for (let i = 0; i < count; i++) {
    const at = list + BigInt(i * size);
    const goOn = (): number => memory.continueWith([at, BigInt(count - i)]);
    // What is left is made when the vCPU runs again.
    if (i > 0 && (memory.work.isEnough || domain.stopped || !vcpu.runnable)) return goOn();
    const entry = guest.read(at, size);
    if (!entry) return -EFAULT;
    const op = Number(entry.getBigUint64(offset.op, true));
    const args = ARGS.map((n) => entry.getBigUint64(offset.args + n * 8, true));
    const result = op === __HYPERVISOR_multicall ? -EINVAL : call.make(op, args);
    if (op === __HYPERVISOR_iret) return result;
    const rest = result === -ERESTART ? memory.takeContinuation() : undefined;
    if (rest) {
      entry.setBigUint64(offset.result, BigInt(op), true);
      rest.forEach((value, n) => {
        entry.setBigUint64(offset.args + n * 8, value, true);
      });
      return guest.copyTo(at, new Uint8Array(entry.buffer)) ? goOn() : -EFAULT;
    }
    if (!guest.writeU64(at + BigInt(offset.result), BigInt.asUintN(64, BigInt(result)))) return -EFAULT;
  }
  return 0;
}
