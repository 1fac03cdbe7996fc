import { type BuiltDomain, buildPvDomain, type PvKernel } from '@xenolith/domain-builder';
import { BadInputError } from '@xenolith/host-interface';
import {
  createDomain,
  type Domain,
  type DomainSettings,
  destroyDomain,
  fillHypercallPage,
  type Hypervisor,
  setInfoGuest,
} from '@xenolith/hypervisor-core';
import { PAGE_SIZE } from '@xenolith/mmu';
import { FrameType } from '@xenolith/mmu/frames';
import {
  FLAT_KERNEL_CS64,
  FLAT_KERNEL_DS64,
  FLAT_KERNEL_SS64,
  VcpuGuestContext,
  VGCF_in_kernel,
  VGCF_online,
  VMASST_TYPE_pae_extended_cr3,
} from '@xenolith/xen-abi';

/** What a new PV domain is made of. */
export interface PvDomainConfig extends DomainSettings {
  kernel: PvKernel;
  ramdisk?: Uint8Array;
  cmdline?: string;
}

/** A PV domain with its kernel in place, paused. */
export interface PvDomain {
  domain: Domain;
  built: BuiltDomain;
  /** The guest's ports for xenstore and console; the domain `backend` may bind to them. */
  storePort: number;
  consolePort: number;
  storeMfn: number;
  consoleMfn: number;
}

/**
 * Makes a PV domain, places its kernel and gives vCPU 0 its first state, as libxc does (xg_dom_x86.c). The domain stays
 * paused. Throws `BadInputError` when it does not fit; then nothing was made.
 */
export function buildPv(hv: Hypervisor, config: PvDomainConfig, backend: number): PvDomain {
  const { kernel, ramdisk, cmdline, ...settings } = config;
  const domain = createDomain(hv, settings);
  try {
    return place(
      hv,
      domain,
      { kernel, ...(ramdisk && { ramdisk }), ...(cmdline !== undefined && { cmdline }) },
      backend,
    );
  } catch (error) {
    destroyDomain(hv, domain);
    throw error;
  }
}

function place(
  hv: Hypervisor,
  domain: Domain,
  image: Pick<PvDomainConfig, 'kernel' | 'ramdisk' | 'cmdline'>,
  backend: number,
): PvDomain {
  const { domid, p2m } = domain;
  const { machine } = hv.memory;
  const storePort = port(hv.events.allocUnbound(backend, domid, backend));
  const consolePort = port(hv.events.allocUnbound(backend, domid, backend));
  const target = {
    pages: p2m.length,
    p2m: (pfn: number) => p2m[pfn]!,
    pageBytes(pfn: number) {
      const mfn = p2m[pfn];
      if (mfn === undefined)
        throw new RangeError(`pfn ${pfn} is outside of the domain's ${p2m.length} pages`);
      return machine.frame(mfn);
    },
  };
  const built = buildPvDomain(target, {
    ...image,
    sharedInfoMfn: domain.sharedInfo,
    storeEvtchn: storePort,
    consoleEvtchn: consolePort,
  });
  if (built.hypercallPage) fillHypercallPage(target.pageBytes(built.hypercallPage.pfn));
  const pinned = hv.memory.pin(domain.vcpus[0]!, built.l4Mfn, FrameType.l4);
  if (pinned !== 0) throw new BadInputError(`The kernel's page tables are not valid: error ${-pinned}.`);

  const context = VcpuGuestContext.create();
  context.flags = BigInt(VGCF_in_kernel | VGCF_online);
  const regs = context.user_regs;
  regs.rip = built.entry;
  regs.rsp = built.stackPointer;
  regs.rsi = built.startInfo;
  regs.rflags = 0x200n;
  regs.cs = FLAT_KERNEL_CS64;
  regs.ss = FLAT_KERNEL_SS64;
  regs.ds = regs.es = regs.fs = regs.gs = FLAT_KERNEL_DS64;
  context.kernel_ss = BigInt(FLAT_KERNEL_SS64);
  context.kernel_sp = built.stackPointer;
  context.ctrlreg.set(3, BigInt(built.l4Mfn) << 12n);
  context.vm_assist = 1n << BigInt(VMASST_TYPE_pae_extended_cr3);
  const rc = setInfoGuest(hv, domain.vcpus[0]!, context);
  if (rc !== 0) throw new BadInputError(`The kernel's first state is not valid: error ${-rc}.`);

  // The grants by which backends reach the two pages (GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE).
  const consoleMfn = p2m[built.consolePfn]!;
  const storeMfn = p2m[built.storePfn]!;
  hv.grants.writeEntry(domid, 0, backend, consoleMfn);
  hv.grants.writeEntry(domid, 1, backend, storeMfn);
  return { domain, built, storePort, consolePort, storeMfn, consoleMfn };
}

function port(result: number): number {
  if (result < 0) throw new BadInputError(`No event channel for the new domain: error ${-result}.`);
  return result;
}

export const PAGES_PER_MIB = (1 << 20) / PAGE_SIZE;
