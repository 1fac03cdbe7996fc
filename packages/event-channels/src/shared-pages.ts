import { VcpuInfo } from '@xenolith/xen-abi';

/** Where a domain's shared structures lie now, as byte offsets in `bytes` (machine memory). */
export interface SharedPages {
  readonly bytes: Uint8Array;
  /** Offset of the domain's shared_info page. */
  sharedInfo(): number;
  /**
   * Offset of the vCPU's vcpu_info, which `VCPUOP_register_vcpu_info` moves; −1 while it has none (vCPU 32 and up
   * before registration), when events set no bit that a guest could see.
   */
  vcpuInfo(vcpu: number): number;
  /** The domain's own memory, for the FIFO ABI. Without it that is not offered: `EVTCHNOP_init_control` is ENOSYS. */
  readonly pages?: GuestPages;
}

/** Pages of 4 KiB that a guest lends to the hypervisor. */
export interface GuestPages {
  /**
   * Takes a reference and a writable use of the guest's page `gfn`, any number.
   * @returns its offset in `bytes`, or −1 if it is not the guest's or used as something else, such as a page table
   */
  get(gfn: number): number;
  /** Gives back what `get` took. */
  put(offset: number): void;
  /** `length` bytes at `offset` were written: they might be code that was decoded. */
  wrote?(offset: number, length: number): void;
}

/** The hooks that delivery calls in the host. */
export interface Wakeups {
  /** `evtchn_upcall_pending` went from 0 to 1: deliver the upcall, wake the vCPU if it is blocked. */
  notify(domid: number, vcpu: number): void;
  /** A vCPU that waits in SCHEDOP_poll has its event. */
  unblock(domid: number, vcpu: number): void;
}

/** The end of each delivery: the upcall flag in vcpu_info, and `notify` if that was clear (`vcpu_mark_events_pending`). */
export function markEventsPending(pages: SharedPages, wakeups: Wakeups, domid: number, vcpu: number): void {
  const info = pages.vcpuInfo(vcpu);
  if (info < 0) return;
  const flag = info + VcpuInfo.offset.evtchn_upcall_pending;
  const was = pages.bytes[flag]!;
  pages.bytes[flag] = was | 1;
  if ((was & 1) === 0) wakeups.notify(domid, vcpu);
}
