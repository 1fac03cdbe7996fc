import { BadInputError } from '@xenolith/host-interface';
import { PAGE_SIZE } from '@xenolith/mmu';
import { FrameType } from '@xenolith/mmu/frames';
import { DOMID_FIRST_RESERVED, VcpuInfo, XEN_LEGACY_MAX_VCPUS } from '@xenolith/xen-abi';
import type { Hypervisor } from '../hypervisor.js';
import { DomainRelease } from '../memory/index.js';
import { Pit } from '../time/pit.js';
import { updateWallclock } from '../time/time-records.js';
import { destroyDomain } from './destroy.js';
import { Domain, type DomainSettings, MAX_WEIGHT } from './domain.js';
import { NativeDomain, type NativeDomainSettings } from './native-domain.js';

const MAX_VCPUS = 128;
/** PV guests start with a tick of 100 Hz. */
const DEFAULT_PERIOD = 10_000_000;

/** The next number after the last one given, as Xen counts (XEN_DOMCTL_createdomain): a number comes again late. */
function nextDomid(hv: Hypervisor): number {
  for (let n = 0; n < DOMID_FIRST_RESERVED; n++) {
    hv.lastDomid = hv.lastDomid + 1 < DOMID_FIRST_RESERVED ? hv.lastDomid + 1 : 1;
    if (!hv.exists(hv.lastDomid)) return hv.lastDomid;
  }
  throw new BadInputError('All domain numbers are in use.');
}

/**
 * Makes a domain: paused, with its memory (`domain.p2m`), shared_info, event channels and a grant table, and vCPUs that are
 * not initialised yet. Throws `BadInputError` when that is not possible; then nothing was made.
 */
export function createDomain(hv: Hypervisor, settings: DomainSettings): Domain {
  const { vcpus, memoryPages } = settings;
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > MAX_VCPUS) {
    throw new BadInputError(`A domain has 1 to ${MAX_VCPUS} vCPUs, not ${vcpus}.`);
  }
  if (!Number.isInteger(memoryPages) || memoryPages < 1) {
    throw new BadInputError(`A domain needs at least one page of memory, not ${memoryPages}.`);
  }
  const { weight = 1, cap = 0 } = settings;
  if (!Number.isInteger(weight) || weight < 1 || weight > MAX_WEIGHT) {
    throw new BadInputError(`A domain's weight is 1 to ${MAX_WEIGHT}, not ${weight}.`);
  }
  if (!Number.isInteger(cap) || cap < 0 || cap > vcpus * 100) {
    throw new BadInputError(
      `The cap of a domain with ${vcpus} vCPUs is 0 to ${vcpus * 100} percent, not ${cap}.`,
    );
  }
  const domid = settings.domid ?? nextDomid(hv);
  if (domid < 0 || domid >= DOMID_FIRST_RESERVED || hv.exists(domid)) {
    throw new BadInputError(`Domain number ${domid} is in use or not possible.`);
  }
  // A domain's successor gets its memory.
  hv.finishReleases();
  const { frames, machine } = hv.memory;
  const domain = new Domain(domid, settings, new Pit(() => hv.clock.now), (it, reason) =>
    hv.crashDomain(it, reason),
  );
  domain.maxPages = settings.maxPages ?? memoryPages;
  hv.domains.set(domid, domain);
  try {
    domain.p2m = hv.memory.allocate(domain, memoryPages);
  } catch (error) {
    hv.domains.delete(domid);
    throw error;
  }
  const shared = frames.allocateXen();
  if (shared < 0) {
    new DomainRelease(hv.memory, domain).step();
    hv.domains.delete(domid);
    throw new BadInputError('The machine has no frame left for the domain’s shared page.');
  }
  domain.p2m.forEach((mfn, pfn) => {
    hv.memory.setM2pRun(mfn, pfn, 1);
  });
  frames.shareXen(shared, domid);
  domain.sharedInfo = shared;
  for (const vcpu of domain.vcpus) {
    vcpu.periodNs = DEFAULT_PERIOD;
    if (vcpu.vcpuId < XEN_LEGACY_MAX_VCPUS) vcpu.vcpuInfo = shared * PAGE_SIZE + vcpu.vcpuId * VcpuInfo.size;
    // As the domain builder leaves it: no upcalls before the guest asks for them.
    hv.info.setUpcallMask(vcpu, 1);
  }
  hv.events.addDomain({
    domid,
    vcpus,
    ...(settings.maxEventPort !== undefined && { maxPort: settings.maxEventPort }),
    delivery: {
      bytes: machine.bytes,
      sharedInfo: () => domain.sharedInfo * PAGE_SIZE,
      vcpuInfo: (id) => domain.vcpus[id]?.vcpuInfo || -1,
      pages: {
        get: (gfn) => (frames.getPageAndType(gfn, domid, FrameType.writable) === 0 ? gfn * PAGE_SIZE : -1),
        put: (offset) => frames.putPageAndType(offset / PAGE_SIZE),
        wrote: (offset, length) => frames.codeWritten(offset, length),
      },
    },
  });
  try {
    if (!hv.grants.addDomain({ ...settings.grants, domid, vcpus }))
      throw new BadInputError('The machine has no frame left for the domain’s grant table.');
  } catch (error) {
    destroyDomain(hv, domain);
    throw error;
  }
  domain.hasGrants = true;
  updateWallclock(machine, domain, hv.wallclockNs);
  return domain;
}

/** Makes a native domain: ports and a grant table, and memory as it asks for it. @throws BadInputError; then nothing was made */
export function createNativeDomain(hv: Hypervisor, settings: NativeDomainSettings): NativeDomain {
  const { privileged = false } = settings;
  const domid = settings.domid ?? nextDomid(hv);
  if (hv.exists(domid)) throw new BadInputError(`Domain number ${domid} is in use.`);
  hv.finishReleases();
  const domain = new NativeDomain(domid, settings);
  hv.natives.set(domid, domain);
  const onEvent = (port: number) => {
    if (settings.wantsEvent?.(port) !== false) hv.defer(() => settings.onEvent(port));
  };
  hv.events.addDomain({ domid, vcpus: 1, privileged, maxPort: 4095, delivery: { onEvent } });
  if (!hv.grants.addDomain({ domid, vcpus: 1, privileged, translated: true })) {
    hv.events.removeDomain(domid);
    hv.natives.delete(domid);
    throw new BadInputError('The machine has no frame left for the domain’s grant table.');
  }
  return domain;
}
