import {
  EINVAL,
  ENOENT,
  ENOSYS,
  EOPNOTSUPP,
  EVTCHN_FIFO_PRIORITY_DEFAULT,
  NR_VIRQS,
} from '@xenolith/xen-abi';
import type { Delivery } from './delivery.js';
import { NativeDelivery } from './delivery.js';
import { FifoDelivery, isBlockOffset } from './fifo.js';
import { PortTable } from './port-table.js';
import type { SharedPages, Wakeups } from './shared-pages.js';
import { TwoLevelDelivery } from './two-level.js';

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
  /** Port from which an interrupted EVTCHNOP_reset goes on; 0: none is under way. */
  resetNext = 0;
  readonly native: NativeDelivery | undefined;
  /** [vcpu][virq] → port; 0 is unbound. */
  readonly virqPorts: Uint32Array[] = [];
  /** vCPU → the one port that it polls, or −1 for "several or none". */
  /** What the domain begins with, and returns to by EVTCHNOP_reset. */
  private readonly base: Delivery;
  private fifo: FifoDelivery | undefined;
  private readonly shared: SharedPages | undefined;
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
      this.base = this.native;
    } else {
      this.shared = options.delivery;
      const { wordBits = 64 } = options;
      this.base = new TwoLevelDelivery(this.domid, this.shared, wakeups, this.wakePollers, wordBits);
    }
    this.table = new PortTable(options.maxPort ?? 1023, () => this.delivery);
    for (let v = 0; v < this.vcpus; v++) this.virqPorts.push(new Uint32Array(NR_VIRQS));
  }

  get delivery(): Delivery {
    return this.fifo ?? this.base;
  }

  get isFifo(): boolean {
    return this.fifo !== undefined;
  }

  /** Gives a vCPU its control block; the first one changes the domain to the FIFO ABI. @returns 0 or −errno */
  initControl(vcpu: number, gfn: number, offset: number): number {
    const { base, domid, shared, table, vcpus, wakeups, wakePollers } = this;
    if (!shared?.pages) return -ENOSYS;
    if (!this.hasVcpu(vcpu)) return -ENOENT;
    if (!isBlockOffset(offset)) return -EINVAL;
    if (this.fifo) return this.fifo.mapControlBlock(vcpu, gfn, offset);
    const fifo = new FifoDelivery(domid, vcpus, shared, shared.pages, wakeups, wakePollers);
    const rc = fifo.mapControlBlock(vcpu, gfn, offset);
    if (rc < 0) return rc;
    for (const channel of table.ports.slice(1, base.limit)) {
      if (base.isPending(channel.port)) channel.arrivedEarly = true;
      channel.priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    }
    this.fifo = fifo;
    return 0;
  }

  /** Adds a page of event words. @returns 0 or −errno */
  expandArray(gfn: number): number {
    if (!this.shared?.pages) return -ENOSYS;
    return this.fifo ? this.fifo.expand(gfn, this.table.ports) : -EOPNOTSUPP;
  }

  /** Back to the ABI of the beginning; the guest has its pages again. */
  leaveFifo(): void {
    this.fifo?.release();
    this.fifo = undefined;
  }

  /** Offsets of the guest's pages that the FIFO ABI uses, one for each reference. */
  heldPages(): Iterable<number> {
    return this.fifo?.held() ?? [];
  }

  problems(): string[] {
    return this.fifo?.problems() ?? [];
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
  private readonly wakePollers = (port: number): void => {
    if (this.pollers.size === 0) return;
    for (const [vcpu, wanted] of [...this.pollers].sort((a, b) => a[0] - b[0])) {
      if (wanted > 0 && wanted !== port) continue;
      this.pollers.delete(vcpu);
      this.wakeups.unblock(this.domid, vcpu);
    }
  };
}
