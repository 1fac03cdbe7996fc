import { FrameType } from '@xenolith/mmu/frames';
import {
  DOMID_SELF,
  EFAULT,
  EINVAL,
  ENODEV,
  ENOSPC,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  ESRCH,
  PHYSDEVOP_alloc_irq_vector,
  PHYSDEVOP_apic_read,
  PHYSDEVOP_apic_write,
  PHYSDEVOP_IRQ_UNMASK_NOTIFY,
  PHYSDEVOP_irq_status_query,
  PHYSDEVOP_set_iobitmap,
  PHYSDEVOP_set_iopl,
  PhysdevApic,
  PhysdevEoi,
  PhysdevGetFreePirq,
  PhysdevIrq,
  PhysdevIrqStatusQuery,
  PhysdevManagePci,
  PhysdevManagePciExt,
  PhysdevMapPirq,
  PhysdevOp,
  PhysdevPciDevice,
  PhysdevPirqEoiGmfn,
  PhysdevRestoreMsi,
  PhysdevSetIobitmap,
  PhysdevSetIopl,
  PhysdevSetupGsi,
  PhysdevUnmapPirq,
  XENIRQSTAT_needs_eoi,
} from '@xenolith/xen-abi';
import { Operations, plain, refused, refusedAfter, taking, updating } from '../operations.js';
import { type Call, u64 } from './call.js';

/** PIRQ numbers that a domU without devices has (`nr_pirqs`); none of them is bound. */
const NR_PIRQS = 56;
const IO_BITMAP_BYTES = 8192;

const ofDomain = ({ hv }: Call, { domid }: { domid: number }): number =>
  domid === DOMID_SELF || hv.exists(domid) ? -EPERM : -ESRCH;

/** physdev_op of a domain without devices (xen/arch/x86/physdev.c). */
export const PHYSDEV_OPERATIONS = new Operations<Call, 'PHYSDEVOP_'>('PHYSDEVOP_', {
  set_iopl: taking(PhysdevSetIopl, ({ vcpu }, { iopl }) => {
    if (iopl > 3) return -EINVAL;
    vcpu.iopl = iopl;
    return 0;
  }),
  set_iobitmap: taking(PhysdevSetIobitmap, ({ guest, vcpu }, { bitmap, nr_ports: ports }) => {
    if (!guest.inRange(bitmap, IO_BITMAP_BYTES) || ports > 65536) return -EINVAL;
    vcpu.ioBitmap = bitmap;
    vcpu.ioBitmapPorts = ports;
    return 0;
  }),
  irq_status_query: updating(PhysdevIrqStatusQuery, (_, request) => {
    if (request.irq >= NR_PIRQS) return -EINVAL;
    request.flags = XENIRQSTAT_needs_eoi;
    return 0;
  }),
  pirq_eoi_gmfn_v1: taking(PhysdevPirqEoiGmfn, eoiPage),
  pirq_eoi_gmfn_v2: taking(PhysdevPirqEoiGmfn, eoiPage),
  IRQ_UNMASK_NOTIFY: plain(() => 0),
  // No pirq is bound, and none can be.
  eoi: refused(EINVAL, 'domU', PhysdevEoi),
  get_free_pirq: refused(ENOSPC, 'domU', PhysdevGetFreePirq),
  map_pirq: refusedAfter(EPERM, 'domU', taking(PhysdevMapPirq, ofDomain)),
  unmap_pirq: refusedAfter(EPERM, 'domU', taking(PhysdevUnmapPirq, ofDomain)),
  apic_read: refused(EPERM, 'domU', PhysdevApic),
  apic_write: refused(EPERM, 'domU', PhysdevApic),
  alloc_irq_vector: refused(EPERM, 'domU', PhysdevIrq),
  manage_pci_add: refused(EPERM, 'domU', PhysdevManagePci),
  manage_pci_remove: refused(EPERM, 'domU', PhysdevManagePci),
  manage_pci_add_ext: refused(EPERM, 'domU', PhysdevManagePciExt),
  prepare_msix: refused(EPERM, 'domU', PhysdevPciDevice),
  release_msix: refused(EPERM, 'domU', PhysdevPciDevice),
  setup_gsi: refused(EPERM, 'domU', PhysdevSetupGsi),
  pci_mmcfg_reserved: refused(EPERM, 'domU'),
  dbgp_op: refused(EPERM, 'domU'),
  restore_msi: refused(ENODEV, 'domU', PhysdevRestoreMsi),
  restore_msi_ext: refused(ENODEV, 'domU', PhysdevPciDevice),
  pci_device_add: refused(EOPNOTSUPP, 'domU'),
  pci_device_remove: refused(EOPNOTSUPP, 'domU'),
  free_irq_vector: refused(ENOSYS, 'everybody'),
});

/** A page of EOI flags: Xen would read it on every interrupt; there are none, so that it is only held once. */
function eoiPage({ domain, hv }: Call, request: { gmfn: bigint }): number {
  const { frames } = hv.memory;
  const mfn = request.gmfn >= BigInt(frames.machine.frames) ? -1 : Number(request.gmfn);
  if (mfn < 0 || frames.getPageAndType(mfn, domain.domid, FrameType.writable) !== 0) return -EINVAL;
  return domain.holdPage('pirq_eoi', mfn, frames);
}

/** The old form: one struct with the command first. */
export function physdevOpCompat(call: Call): number | bigint {
  const arg = u64(call, 0);
  const view = call.guest.read(arg, PhysdevOp.size);
  if (!view) return -EFAULT;
  const { cmd } = PhysdevOp.at(view);
  switch (cmd) {
    case PHYSDEVOP_IRQ_UNMASK_NOTIFY:
      return PHYSDEV_OPERATIONS.make(cmd, call, 0n);
    case PHYSDEVOP_irq_status_query:
    case PHYSDEVOP_set_iopl:
    case PHYSDEVOP_set_iobitmap:
    case PHYSDEVOP_apic_read:
    case PHYSDEVOP_apic_write:
    case PHYSDEVOP_alloc_irq_vector:
      return PHYSDEV_OPERATIONS.make(cmd, call, arg + BigInt(PhysdevOp.offset.u));
    default:
      return -ENOSYS;
  }
}
