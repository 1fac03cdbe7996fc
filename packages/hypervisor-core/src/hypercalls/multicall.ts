import { __HYPERVISOR_iret, __HYPERVISOR_multicall, EFAULT, EINVAL, MulticallEntry } from '@xenolith/xen-abi';
import { type Call, u32, u64 } from './call.js';

const { offset, size } = MulticallEntry;

/** multicall: each entry is a hypercall, whose result is written into it; nesting is refused. */
export function multicall(call: Call): number | bigint {
  const { guest, hv, vcpu, domain } = call;
  const list = u64(call, 0);
  const count = u32(call, 1);
  if (!guest.inRange(list, Math.min(count, 0xff_ffff) * size)) return -EFAULT;
  for (let i = 0; i < count; i++) {
    const at = list + BigInt(i * size);
    const entry = guest.read(at, size);
    if (!entry) return -EFAULT;
    const op = Number(entry.getBigUint64(offset.op, true));
    const args = [0, 1, 2, 3, 4, 5].map((n) => entry.getBigUint64(offset.args + n * 8, true));
    const result = op === __HYPERVISOR_multicall ? -EINVAL : call.make(op, args);
    if (op === __HYPERVISOR_iret) return result;
    if (!guest.writeU64(at + BigInt(offset.result), BigInt.asUintN(64, BigInt(result)))) return -EFAULT;
    if (domain.stopped || !vcpu.runnable) {
      // What is left is made when the vCPU runs again, as Xen's continuation does.
      if (i + 1 < count) hv.continuation = [at + BigInt(size), BigInt(count - i - 1)];
      break;
    }
  }
  return 0;
}
