import { VIRQ_DEBUG, VIRQ_TIMER, VIRQ_XENOPROF, VIRQ_XENPMU } from '@xenolith/xen-abi';

/** A global VIRQ has one port a domain, bound on vCPU 0 and movable; the others have one a vCPU, bound for good. */
export const isGlobalVirq = (virq: number): boolean =>
  virq !== VIRQ_TIMER && virq !== VIRQ_DEBUG && virq !== VIRQ_XENOPROF && virq !== VIRQ_XENPMU;
