import { FrameType } from '@xenolith/mmu/frames';
import {
  DOMID_SELF,
  EFAULT,
  EINVAL,
  ENODEV,
  ENOSPC,
  ENOSYS,
  EPERM,
  ESRCH,
  MAP_PIRQ_TYPE_GSI,
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
  PhysdevPciDeviceAdd,
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
/** Interrupts of the machine's one I/O APIC (`nr_irqs_gsi`), of which the first 16 are the ISA's. */
const NR_GSIS = 24;
const IO_BITMAP_BYTES = 8192;

/** The pirq that Xen would reserve next: for a GSI the lowest of those, else the highest; −1: none is left. */
function freePirq(taken: ReadonlySet<number>, type: number): number {
  if (type === MAP_PIRQ_TYPE_GSI) {
    for (let pirq = 16; pirq < NR_GSIS; pirq++) if (!taken.has(pirq)) return pirq;
  }
  for (let pirq = NR_PIRQS - 1; pirq >= NR_GSIS; pirq--) if (!taken.has(pirq)) return pirq;
  return -1;
}

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
  // A pirq may be reserved, but none can be bound: there is no interrupt that could be waited for.
  eoi: taking(PhysdevEoi, ({ domain }, { irq }) => (domain.pirqs.has(irq) ? 0 : -EINVAL)),
  get_free_pirq: updating(PhysdevGetFreePirq, ({ domain }, request) => {
    const pirq = freePirq(domain.pirqs, request.type);
    if (pirq < 0) return -ENOSPC;
    domain.pirqs.add(pirq);
    request.pirq = pirq;
    return 0;
  }),
  map_pirq: refusedAfter(EPERM, 'domU', taking(PhysdevMapPirq, ofDomain)),
  unmap_pirq: refusedAfter(EPERM, 'domU', taking(PhysdevUnmapPirq, ofDomain)),
  apic_read: refused(EPERM, 'domU', PhysdevApic),
  apic_write: refused(EPERM, 'domU', PhysdevApic),
  alloc_irq_vector: refused(EPERM, 'domU', PhysdevIrq),
  manage_pci_add: refused(EPERM, 'domU', PhysdevManagePci),
  manage_pci_remove: refused(EPERM, 'domU', PhysdevManagePci),
  manage_pci_add_ext: refusedAfter(
    EPERM,
    'domU',
    taking(PhysdevManagePciExt, (_, { is_extfn, is_virtfn }) =>
      Math.max(is_extfn, is_virtfn) > 1 ? -EINVAL : -EPERM,
    ),
  ),
  prepare_msix: refused(EPERM, 'domU', PhysdevPciDevice),
  release_msix: refused(EPERM, 'domU', PhysdevPciDevice),
  setup_gsi: refusedAfter(
    EPERM,
    'domU',
    taking(PhysdevSetupGsi, (_, { gsi }) => (gsi < 0 || gsi >= NR_GSIS ? -EINVAL : -EPERM)),
  ),
  pci_mmcfg_reserved: refused(EPERM, 'domU'),
  dbgp_op: refused(EPERM, 'domU'),
  restore_msi: refused(ENODEV, 'domU', PhysdevRestoreMsi),
  restore_msi_ext: refused(ENODEV, 'domU', PhysdevPciDevice),
  pci_device_add: refused(EPERM, 'domU', PhysdevPciDeviceAdd),
  pci_device_remove: refused(EPERM, 'domU', PhysdevPciDevice),
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
  return PHYSDEV_OPERATIONS.make(PhysdevOp.at(view).cmd, call, arg + BigInt(PhysdevOp.offset.u));
}
