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
  PHYSDEVOP_dbgp_op,
  PHYSDEVOP_eoi,
  PHYSDEVOP_get_free_pirq,
  PHYSDEVOP_IRQ_UNMASK_NOTIFY,
  PHYSDEVOP_irq_status_query,
  PHYSDEVOP_manage_pci_add,
  PHYSDEVOP_manage_pci_add_ext,
  PHYSDEVOP_manage_pci_remove,
  PHYSDEVOP_map_pirq,
  PHYSDEVOP_pci_device_add,
  PHYSDEVOP_pci_device_remove,
  PHYSDEVOP_pci_mmcfg_reserved,
  PHYSDEVOP_pirq_eoi_gmfn_v1,
  PHYSDEVOP_pirq_eoi_gmfn_v2,
  PHYSDEVOP_prepare_msix,
  PHYSDEVOP_release_msix,
  PHYSDEVOP_restore_msi,
  PHYSDEVOP_restore_msi_ext,
  PHYSDEVOP_set_iobitmap,
  PHYSDEVOP_set_iopl,
  PHYSDEVOP_setup_gsi,
  PHYSDEVOP_unmap_pirq,
  PhysdevIrqStatusQuery,
  PhysdevMapPirq,
  PhysdevOp,
  PhysdevPirqEoiGmfn,
  PhysdevSetIobitmap,
  PhysdevSetIopl,
  XENIRQSTAT_needs_eoi,
} from '@xenolith/xen-abi';
import { type Call, s32, u64 } from './call.js';

/** PIRQ numbers that a domU without devices has (`nr_pirqs`); none of them is bound. */
const NR_PIRQS = 56;
const IO_BITMAP_BYTES = 8192;

/** physdev_op of a domain without devices (xen/arch/x86/physdev.c). */
export function physdevOp(call: Call, command = s32(call, 0), arg = u64(call, 1)): number {
  const { guest, vcpu } = call;
  switch (command) {
    case PHYSDEVOP_set_iopl: {
      const request = guest.readStruct(PhysdevSetIopl, arg);
      if (!request) return -EFAULT;
      if (request.iopl > 3) return -EINVAL;
      vcpu.iopl = request.iopl;
      return 0;
    }
    case PHYSDEVOP_set_iobitmap: {
      const request = guest.readStruct(PhysdevSetIobitmap, arg);
      if (!request) return -EFAULT;
      if (!guest.inRange(request.bitmap, IO_BITMAP_BYTES) || request.nr_ports > 65536) return -EINVAL;
      vcpu.ioBitmap = request.bitmap;
      vcpu.ioBitmapPorts = request.nr_ports;
      return 0;
    }
    case PHYSDEVOP_irq_status_query: {
      const request = guest.readStruct(PhysdevIrqStatusQuery, arg);
      if (!request) return -EFAULT;
      if (request.irq >= NR_PIRQS) return -EINVAL;
      const flags = arg + BigInt(PhysdevIrqStatusQuery.offset.flags);
      return guest.writeU32(flags, XENIRQSTAT_needs_eoi) ? 0 : -EFAULT;
    }
    case PHYSDEVOP_pirq_eoi_gmfn_v1:
    case PHYSDEVOP_pirq_eoi_gmfn_v2:
      return eoiPage(call, arg);
    case PHYSDEVOP_IRQ_UNMASK_NOTIFY:
      return 0;
    case PHYSDEVOP_eoi:
      return guest.copyFrom(arg, 4) ? -EINVAL : -EFAULT;
    case PHYSDEVOP_get_free_pirq:
      return guest.copyFrom(arg, 8) ? -ENOSPC : -EFAULT;
    case PHYSDEVOP_map_pirq:
    case PHYSDEVOP_unmap_pirq: {
      const request = guest.readStruct(PhysdevMapPirq, arg);
      if (!request) return -EFAULT;
      const { domid } = request;
      return domid === DOMID_SELF || call.hv.exists(domid) ? -EPERM : -ESRCH;
    }
    case PHYSDEVOP_apic_read:
    case PHYSDEVOP_apic_write:
    case PHYSDEVOP_alloc_irq_vector:
    case PHYSDEVOP_manage_pci_add:
    case PHYSDEVOP_manage_pci_remove:
    case PHYSDEVOP_manage_pci_add_ext:
    case PHYSDEVOP_prepare_msix:
    case PHYSDEVOP_release_msix:
    case PHYSDEVOP_setup_gsi:
      return guest.copyFrom(arg, 2) ? -EPERM : -EFAULT;
    case PHYSDEVOP_pci_mmcfg_reserved:
    case PHYSDEVOP_dbgp_op:
      return -EPERM;
    case PHYSDEVOP_restore_msi:
    case PHYSDEVOP_restore_msi_ext:
      return guest.copyFrom(arg, 2) ? -ENODEV : -EFAULT;
    case PHYSDEVOP_pci_device_add:
    case PHYSDEVOP_pci_device_remove:
      return -EOPNOTSUPP;
    default:
      return -ENOSYS;
  }
}

/** A page of EOI flags: Xen would read it on every interrupt; there are none, so that it is only held once. */
function eoiPage({ domain, guest, hv }: Call, arg: bigint): number {
  const request = guest.readStruct(PhysdevPirqEoiGmfn, arg);
  if (!request) return -EFAULT;
  const { frames } = hv.memory;
  const mfn = request.gmfn >= BigInt(frames.machine.frames) ? -1 : Number(request.gmfn);
  if (mfn < 0 || frames.getPageAndType(mfn, domain.domid, FrameType.writable) !== 0) return -EINVAL;
  return domain.holdPage('pirq_eoi', mfn, frames);
}

/** The old form: one struct with the command first. */
export function physdevOpCompat(call: Call): number {
  const arg = u64(call, 0);
  const view = call.guest.read(arg, PhysdevOp.size);
  if (!view) return -EFAULT;
  const { cmd } = PhysdevOp.at(view);
  switch (cmd) {
    case PHYSDEVOP_IRQ_UNMASK_NOTIFY:
      return physdevOp(call, cmd, 0n);
    case PHYSDEVOP_irq_status_query:
    case PHYSDEVOP_set_iopl:
    case PHYSDEVOP_set_iobitmap:
    case PHYSDEVOP_apic_read:
    case PHYSDEVOP_apic_write:
    case PHYSDEVOP_alloc_irq_vector:
      return physdevOp(call, cmd, arg + BigInt(PhysdevOp.offset.u));
    default:
      return -ENOSYS;
  }
}
