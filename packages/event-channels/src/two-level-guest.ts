import { SharedInfo, VcpuInfo } from '@xenolith/xen-abi';
import type { testHost } from './testing.js';

const { evtchn_pending: PENDING, evtchn_mask: MASK } = SharedInfo.offset;
const { evtchn_upcall_pending: UPCALL, evtchn_pending_sel: SELECTOR } = VcpuInfo.offset;

/** For tests: what a guest's kernel does with the 2-level ABI's bits, of ports 0 to 31. */
export function twoLevelGuest(host: ReturnType<typeof testHost>, domid = 1) {
  const view = new DataView(host.bytes.buffer, host.page(domid));
  const visible = () => view.getUint32(PENDING, true) & ~view.getUint32(MASK, true);
  const isSelected = (vcpu: number) => host.selected(domid, vcpu, 0) === 1;
  return {
    enter() {},
    mask: (port: number) => host.mask(domid, port, 1),
    /** It is pending and not masked, and no vCPU knows. */
    isStuck: (port: number) => ((visible() >> port) & 1) === 1 && !isSelected(0) && !isSelected(1),
    /** Takes the events of a vCPU as an upcall handler does, lowest port first. */
    handle(vcpu: number): number[] {
      const info = vcpu * VcpuInfo.size;
      view.setUint8(info + UPCALL, 0);
      const seen = isSelected(vcpu) ? visible() : 0;
      view.setBigUint64(info + SELECTOR, 0n, true);
      view.setUint32(PENDING, view.getUint32(PENDING, true) & ~seen, true);
      return Array.from({ length: 32 }, (_, port) => port).filter((port) => (seen >> port) & 1);
    },
  };
}
