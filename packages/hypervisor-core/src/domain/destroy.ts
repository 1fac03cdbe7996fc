import type { Hypervisor } from '../hypervisor.js';
import { DomainRelease } from '../memory/index.js';
import type { Domain } from './domain.js';

/**
 * A dead domain, until nothing of it is left: its memory comes back piece by piece, and frames that others hold (they map
 * grants of them) stay until those let go. So long it keeps its number and its grant table.
 */
export class Zombie {
  private readonly release: DomainRelease;

  constructor(
    private readonly hv: Hypervisor,
    private readonly domain: Domain,
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
    const { domid, sharedInfo } = domain;
    if (!this.isGone || hv.zombies.get(domid) !== this) return;
    hv.zombies.delete(domid);
    if (domain.hasGrants) hv.grants.removeDomain(domid);
    if (sharedInfo !== 0) hv.memory.frames.freeXen(sharedInfo);
    hv.events.removeDomain(domid);
    hv.domains.delete(domid);
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
  const { frames, work } = hv.memory;
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
  const zombie = new Zombie(hv, domain);
  hv.zombies.set(domid, zombie);
  work.limited(() => zombie.step());
  return !hv.zombies.has(domid);
}
