import type { Hypervisor } from '../hypervisor.js';
import type { Domain } from './domain.js';

/**
 * Takes a domain apart, as Xen's `domain_kill`: its ports are closed, its memory is freed. Frames that others still hold
 * (they map grants of them) stay until those let go; so long the domain is a zombie, which keeps its number and its grant
 * table. Returns the number of frames that are left; 0: nothing of the domain is left.
 */
export function destroyDomain(hv: Hypervisor, domain: Domain): number {
  const { domid } = domain;
  if (domain.dying) return hv.zombies.get(domid)?.framesLeft ?? 0;
  domain.dying = true;
  const { frames } = hv.memory;
  for (const vcpu of domain.vcpus) {
    hv.setPeriodic(vcpu, 0);
    hv.stopSingleshot(vcpu);
    hv.timers.cancel(vcpu.pollTimer);
    hv.refresh(vcpu);
    vcpu.vcpuInfo = 0;
    if (vcpu.vcpuInfoFrame !== 0) frames.putPageAndType(vcpu.vcpuInfoFrame);
    vcpu.vcpuInfoFrame = 0;
    hv.drop(vcpu);
  }
  for (const timer of domain.watchdogs) hv.timers.cancel(timer);
  domain.releasePages(frames);
  hv.events.setDying(domid);
  if (domain.hasGrants) hv.grants.setDying(domid);
  const zombie = {
    framesLeft: hv.memory.releaseDomain(domain),
    forget() {
      if (hv.zombies.delete(domid)) forget(hv, domain);
    },
  };
  hv.zombies.set(domid, zombie);
  // Its own page tables may have held the last mappings of others.
  for (const each of [...hv.zombies.values()]) if (each.framesLeft === 0) each.forget();
  hv.checks?.everything();
  return zombie.framesLeft;
}

/** Nobody holds anything of the dead domain's any more. */
function forget(hv: Hypervisor, domain: Domain): void {
  const { domid, sharedInfo } = domain;
  if (domain.hasGrants) hv.grants.removeDomain(domid);
  if (sharedInfo !== 0) hv.memory.frames.freeXen(sharedInfo);
  hv.events.removeDomain(domid);
  hv.domains.delete(domid);
}
