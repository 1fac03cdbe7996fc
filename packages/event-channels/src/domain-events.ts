import { NR_VIRQS } from '@xenolith/xen-abi';
import type { Delivery } from './delivery.js';
import { NativeDelivery } from './delivery.js';
import { PortTable } from './port-table.js';
import { type SharedPages, TwoLevelDelivery, type Wakeups } from './two-level.js';

/** What a host says about a new domain. */
export interface DomainOptions {
  domid: number;
  vcpus: number;
  /** May act on other domains' ports, as dom0 may (XSM's `XSM_TARGET` checks). Default false. */
  privileged?: boolean;
  /** Highest port number that may be allocated: `max_event_channels` of xl.cfg, whose default is 1023. */
  maxPort?: number;
  /** Shared memory of a guest, or what a native domain does with an event (called inside the sender's operation). */
  delivery: SharedPages | { onEvent(port: number): void };
  /** Word size of the 2-level ABI. Default 64. */
  wordBits?: 32 | 64;
  /** How many PIRQ numbers the domain has (`nr_pirqs`): EVTCHNOP_bind_pirq says EINVAL beyond, EPERM below. Default 56. */
  pirqs?: number;
}

/** A domain's ports, its VIRQ bindings and its polling vCPUs. */
export class DomainEvents {
  readonly domid: number;
  readonly vcpus: number;
  readonly privileged: boolean;
  readonly pirqs: number;
  readonly table: PortTable;
  readonly delivery: Delivery;
  readonly native: NativeDelivery | undefined;
  /** [vcpu][virq] → port; 0 is unbound. */
  readonly virqPorts: Uint32Array[] = [];
  /** vCPU → the one port that it polls, or −1 for "several or none". */
  private readonly pollers = new Map<number, number>();

  constructor(
    options: DomainOptions,
    private readonly wakeups: Wakeups,
  ) {
    this.domid = options.domid;
    this.vcpus = options.vcpus;
    this.privileged = options.privileged ?? false;
    this.pirqs = options.pirqs ?? 56;
    if ('onEvent' in options.delivery) {
      const { delivery } = options;
      this.native = new NativeDelivery((port) => delivery.onEvent(port));
      this.delivery = this.native;
    } else {
      const poll = (port: number) => this.wakePollers(port);
      this.delivery = new TwoLevelDelivery(
        this.domid,
        options.delivery,
        wakeups,
        poll,
        options.wordBits ?? 64,
      );
    }
    this.table = new PortTable(options.maxPort ?? 1023, this.delivery.limit);
    for (let v = 0; v < this.vcpus; v++) this.virqPorts.push(new Uint32Array(NR_VIRQS));
  }

  hasVcpu(vcpu: number): boolean {
    return Number.isInteger(vcpu) && vcpu >= 0 && vcpu < this.vcpus;
  }

  /** @param port the polled port, or −1 when the vCPU polls several */
  startPolling(vcpu: number, port: number): void {
    this.pollers.set(vcpu, port);
  }

  stopPolling(vcpu: number): void {
    this.pollers.delete(vcpu);
  }

  /** Wakes every vCPU that polls this port, or more than one: it looks for itself (`evtchn_check_pollers`). */
  private wakePollers(port: number): void {
    if (this.pollers.size === 0) return;
    for (const [vcpu, wanted] of [...this.pollers].sort((a, b) => a[0] - b[0])) {
      if (wanted > 0 && wanted !== port) continue;
      this.pollers.delete(vcpu);
      this.wakeups.unblock(this.domid, vcpu);
    }
  }
}
