import type { Hypervisor } from '../hypervisor.js';
import { DomainRelease } from '../memory/index.js';
import type { Domain } from './domain.js';
import type { NativeDomain } from './native-domain.js';

/**
 * A dead domain, until nothing of it is left: its memory comes back piece by piece, and frames that others hold (they map
 * grants of them) stay until those let go. So long it keeps its number and its grant table.
 */
export class Zombie {
  private readonly release: DomainRelease;

  /** @param forget what is left to do when its last frame has gone */
  constructor(
    private readonly hv: Hypervisor,
    private readonly domain: Pick<Domain, 'domid' | 'vcpus'>,
    private readonly forget: () => void,
  ) {
    this.release = new DomainRelease(hv.memory, domain);
  }

  /** What comes back by itself has come back. */
  get isReleased(): boolean {
    return this.release.isDone;
  }

  private get isGone(): boolean {
    return this.release.isDone && this.release.left === 0;
  }

  /** Goes on with taking it apart, up to the limit of work if there is one. */
  step(): void {
    this.release.step();
    if (!this.isReleased) return;
    // Its own page tables may have held the last mappings of others.
    for (const each of [...this.hv.zombies.values()]) each.forgetIfGone();
    this.hv.checks?.everything();
  }

  /** One of its frames has gone. */
  frameGone(mfn: number): void {
    this.release.frameGone(mfn);
    // Not before the operation that let go of it is over.
    if (this.isGone) this.hv.defer(() => this.forgetIfGone());
  }

  private forgetIfGone(): void {
    const { hv, domain } = this;
    if (!this.isGone || hv.zombies.get(domain.domid) !== this) return;
    hv.zombies.delete(domain.domid);
    this.forget();
  }
}

/**
 * Takes a domain apart, as Xen's `domain_kill`: its ports are closed, its memory is freed. As much as one hypercall may do
 * is done at once, which is all for a small domain; the rest in pieces while `Hypervisor.run` is called (`isReleasing`),
 * or when the next domain is made. The domain is `dying` until nothing of it is left: see `Zombie`. Returns whether it is
 * gone already.
 */
export function destroyDomain(hv: Hypervisor, domain: Domain): boolean {
  const { domid } = domain;
  if (domain.dying) return !hv.zombies.has(domid);
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
  return makeZombie(hv, domain, () => {
    if (domain.hasGrants) hv.grants.removeDomain(domid);
    if (domain.sharedInfo !== 0) frames.freeXen(domain.sharedInfo);
    hv.events.removeDomain(domid);
    hv.domains.delete(domid);
  });
}

/** The same for a native domain. What its code still holds of the host must not be used any more. */
export function destroyNativeDomain(hv: Hypervisor, domain: NativeDomain): boolean {
  const { domid } = domain;
  if (domain.dying) return !hv.zombies.has(domid);
  domain.dying = true;
  hv.events.setDying(domid);
  hv.grants.setDying(domid);
  return makeZombie(hv, { domid, vcpus: [] }, () => {
    hv.grants.removeDomain(domid);
    hv.events.removeDomain(domid);
    hv.natives.delete(domid);
  });
}

function makeZombie(hv: Hypervisor, domain: Pick<Domain, 'domid' | 'vcpus'>, forget: () => void): boolean {
  const zombie = new Zombie(hv, domain, forget);
  hv.zombies.set(domain.domid, zombie);
  hv.memory.work.limited(() => zombie.step());
  return !hv.zombies.has(domain.domid);
}
