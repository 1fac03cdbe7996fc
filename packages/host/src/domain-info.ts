import { type Domain, type Hypervisor, type NativeDomain, RUNSTATE } from '@xenolith/hypervisor-core';
import { type ShutdownReason, shutdownReason } from './result.js';

/** A line of `xl list`. */
export interface DomainInfo {
  readonly domid: number;
  /** Undefined for a dead domain of which something is left: its memory is coming back, or others map pages of it. */
  readonly name: string | undefined;
  readonly uuid: string | undefined;
  readonly memoryKiB: number;
  /** vCPUs that are online. */
  readonly vcpus: number;
  readonly running: boolean;
  /** All vCPUs wait. */
  readonly blocked: boolean;
  readonly paused: boolean;
  /** Why it has shut down, while it is still there. */
  readonly shutdown: ShutdownReason | undefined;
  readonly dying: boolean;
  /** Time that its vCPUs ran, in nanoseconds. */
  readonly cpuTimeNs: number;
}

const KIB_PER_PAGE = 4;

/** What a hypervisor knows of a domain (`getdomaininfo` of Xen's domctl). */
export function domainInfo(
  hv: Hypervisor,
  domain: Domain,
  identity: { readonly name: string; readonly uuid: string } | undefined,
): DomainInfo {
  const online = domain.vcpus.filter((vcpu) => !vcpu.down);
  return {
    domid: domain.domid,
    name: identity?.name,
    uuid: identity?.uuid,
    memoryKiB: domain.totPages * KIB_PER_PAGE,
    vcpus: online.length,
    running: !domain.stopped && online.some((vcpu) => vcpu.runstate.state === RUNSTATE.running),
    blocked: online.every((vcpu) => vcpu.blocked),
    paused: domain.paused,
    shutdown: domain.shuttingDown ? shutdownReason(domain.shutdownCode ?? -1) : undefined,
    dying: domain.dying,
    cpuTimeNs: domain.vcpus.reduce(
      (sum, { runstate }) => sum + runstate.total(RUNSTATE.running, hv.clock.now),
      0,
    ),
  };
}

/** The same of a domain whose kernel is TypeScript. Nobody measures it: whenever somebody looks, it waits. */
export const nativeDomainInfo = (
  { domid, totPages, dying }: NativeDomain,
  identity: { readonly name: string; readonly uuid: string } | undefined,
): DomainInfo => ({
  domid,
  name: identity?.name,
  uuid: identity?.uuid,
  memoryKiB: totPages * KIB_PER_PAGE,
  vcpus: 1,
  running: false,
  blocked: true,
  paused: false,
  shutdown: undefined,
  dying,
  cpuTimeNs: 0,
});
