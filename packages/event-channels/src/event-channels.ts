import { InvariantError, noTrace, type TraceSink } from '@xenolith/host-interface';
import {
  DOMID_SELF,
  EACCES,
  EAGAIN,
  EBUSY,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOSYS,
  EPERM,
  ERESTART,
  ESRCH,
  EVTCHN_FIFO_PRIORITY_MIN,
  NR_VIRQS,
} from '@xenolith/xen-abi';
import { type Channel, PORT_STATE } from './channel.js';
import { DomainEvents, type DomainOptions } from './domain-events.js';
import { checkInvariants } from './invariants.js';
import type { Wakeups } from './shared-pages.js';
import { type PortStatus, statusOf } from './status.js';
import { isGlobalVirq } from './virq.js';

export interface EventChannelsOptions extends Wakeups {
  /** Whether a toolstack has paused the domain: resetting another domain's ports demands it. Default: never. */
  isPaused?(domid: number): boolean;
  trace?: TraceSink;
}

/** Ports that one EVTCHNOP_reset closes at most: some milliseconds. */
const RESET_PORTS = 4096;

/**
 * The event channels of a host: what EVTCHNOP_* do, with the results and the order of checks of Xen 4.17
 * (xen/common/event_channel.c, built without XSM policies). `caller` is the domain that makes the hypercall. Every
 * operation returns −errno on failure; success is 0, or the port for those that allocate one. Nothing here throws
 * for what a guest does.
 */
export class EventChannels {
  private readonly domains = new Map<number, DomainEvents>();
  private readonly trace: TraceSink;

  constructor(private readonly host: EventChannelsOptions) {
    this.trace = host.trace ?? noTrace;
  }

  addDomain(options: DomainOptions): void {
    if (this.domains.has(options.domid)) throw new InvariantError(`Domain ${options.domid} exists already.`);
    this.domains.set(options.domid, new DomainEvents(options, this.host));
  }

  /**
   * The domain dies: every port is closed, no more are allocated, and its pages are given back. A peer's port becomes
   * unbound, still reserved for the domain that is gone, and gets no event.
   */
  setDying(domid: number): void {
    const domain = this.known(domid);
    domain.table.dying = true;
    for (let port = domain.table.ports.length - 1; port > 0; port--) this.closePort(domain, port);
    domain.leaveFifo();
  }

  /** Forgets a domain, dead or not. */
  removeDomain(domid: number): void {
    this.setDying(domid);
    this.domains.delete(domid);
  }

  /** @param dom whose port it shall be; @param remote who may bind to it (DOMID_SELF: the caller) */
  allocUnbound(caller: number, dom: number, remote: number): number {
    const domain = this.lookup(caller, dom);
    if (!domain) return -ESRCH;
    const channel = domain.table.allocate();
    if (typeof channel === 'number') return channel;
    if (!this.mayTarget(caller, domain)) {
      domain.table.release(channel);
      return -EPERM;
    }
    channel.state = PORT_STATE.unbound;
    channel.remoteDomid = remote === DOMID_SELF ? caller : remote;
    return channel.port;
  }

  bindInterdomain(caller: number, remoteDom: number, remotePort: number): number {
    const remote = this.lookup(caller, remoteDom);
    if (!remote) return -ESRCH;
    const local = this.known(caller);
    const channel = local.table.allocate();
    if (typeof channel === 'number') return channel;
    const peer = remote.table.get(remotePort);
    if (peer?.state !== PORT_STATE.unbound || peer.remoteDomid !== caller) {
      local.table.release(channel);
      return -EINVAL;
    }
    channel.state = peer.state = PORT_STATE.interdomain;
    channel.remoteDomid = remote.domid;
    channel.remotePort = remotePort;
    peer.remoteDomid = caller;
    peer.remotePort = channel.port;
    // What was sent while the peer's port was unbound is lost: let the binder look once.
    this.setPending(local, channel, channel.vcpu);
    return channel.port;
  }

  bindVirq(caller: number, virq: number, vcpu: number): number {
    if (!(virq >= 0 && virq < NR_VIRQS)) return -EINVAL;
    if (isGlobalVirq(virq) && vcpu !== 0) return -EINVAL;
    const domain = this.known(caller);
    if (!domain.hasVcpu(vcpu)) return -ENOENT;
    const ports = domain.virqPorts[vcpu]!;
    if (ports[virq]) return -EEXIST;
    const channel = domain.table.allocate();
    if (typeof channel === 'number') return channel;
    channel.state = PORT_STATE.virq;
    channel.vcpu = vcpu;
    channel.virq = virq;
    ports[virq] = channel.port;
    return channel.port;
  }

  bindIpi(caller: number, vcpu: number): number {
    const domain = this.known(caller);
    if (!domain.hasVcpu(vcpu)) return -ENOENT;
    const channel = domain.table.allocate();
    if (typeof channel === 'number') return channel;
    channel.state = PORT_STATE.ipi;
    channel.vcpu = vcpu;
    return channel.port;
  }

  /** No domain has hardware, so none may bind its interrupts. */
  bindPirq(caller: number, pirq: number): number {
    return pirq >= this.known(caller).pirqs ? -EINVAL : -EPERM;
  }

  close(caller: number, port: number): number {
    return this.closePort(this.known(caller), port);
  }

  send(caller: number, port: number): number {
    const domain = this.known(caller);
    const channel = domain.table.get(port);
    switch (channel?.state) {
      case PORT_STATE.interdomain: {
        const remote = this.known(channel.remoteDomid);
        const peer = remote.table.get(channel.remotePort)!;
        this.setPending(remote, peer, peer.vcpu);
        return 0;
      }
      case PORT_STATE.ipi:
        this.setPending(domain, channel, channel.vcpu);
        return 0;
      case PORT_STATE.unbound:
        return 0; // Dropped: nobody listens yet.
      default:
        return -EINVAL;
    }
  }

  status(caller: number, dom: number, port: number): PortStatus | number {
    const domain = this.lookup(caller, dom);
    if (!domain) return -ESRCH;
    const channel = domain.table.get(port);
    if (!channel) return -EINVAL;
    if (!this.mayTarget(caller, domain)) return -EPERM;
    return statusOf(channel);
  }

  /** IPIs and per-vCPU VIRQs stay where they were bound. */
  bindVcpu(caller: number, port: number, vcpu: number): number {
    const domain = this.known(caller);
    if (!domain.hasVcpu(vcpu)) return -ENOENT;
    const channel = domain.table.get(port);
    const movable =
      channel?.state === PORT_STATE.unbound ||
      channel?.state === PORT_STATE.interdomain ||
      (channel?.state === PORT_STATE.virq && isGlobalVirq(channel.virq));
    if (!channel || !movable) return -EINVAL;
    channel.vcpu = vcpu;
    return 0;
  }

  unmask(caller: number, port: number): number {
    const domain = this.known(caller);
    const channel = domain.table.get(port);
    if (!channel) return -EINVAL;
    if (channel.usable) domain.delivery.unmask(channel);
    return 0;
  }

  /**
   * Closes all ports of a domain and takes it back to the 2-level ABI. Many ports take several calls: −ERESTART says
   * that the rest is to be asked for with `resuming` (EVTCHNOP_reset_cont).
   */
  reset(caller: number, dom: number, resuming = false): number {
    const domain = this.lookup(caller, dom);
    if (!domain) return -ESRCH;
    if (!this.mayTarget(caller, domain)) return -EPERM;
    if (domain.domid !== caller && !this.host.isPaused?.(domain.domid)) return -EINVAL;
    const { table, resetNext } = domain;
    // Two at a time, or the rest of none.
    if (resuming !== resetNext > 0) return -EBUSY;
    const first = resuming ? resetNext : 1;
    for (let port = first; port < table.ports.length && table.active > 0; port++) {
      if (port === first + RESET_PORTS) {
        domain.resetNext = port;
        return -ERESTART;
      }
      this.closePort(domain, port);
    }
    domain.resetNext = 0;
    // Ports that were bound in between.
    if (table.active > 0) return -EAGAIN;
    domain.leaveFifo();
    return 0;
  }

  /** Gives a vCPU its control block of the FIFO ABI. @param gfn any number; @param offset 0 … 2^32 − 1 */
  initControl(caller: number, vcpu: number, gfn: number, offset: number): number {
    return this.known(caller).initControl(vcpu, gfn, offset);
  }

  /** Adds a page to the event array of the FIFO ABI. */
  expandArray(caller: number, gfn: number): number {
    return this.known(caller).expandArray(gfn);
  }

  /** Says in which queue of the FIFO ABI later events go; a bad port is found first. */
  setPriority(caller: number, port: number, priority: number): number {
    const domain = this.known(caller);
    const channel = domain.table.get(port);
    if (!channel) return -EINVAL;
    if (!domain.isFifo) return -ENOSYS;
    if (!channel.usable) return -EACCES;
    if (priority > EVTCHN_FIFO_PRIORITY_MIN) return -EINVAL;
    channel.priority = priority;
    return 0;
  }

  /** Offsets of guest pages that the hypervisor holds for the domain's FIFO ABI, one for each reference. */
  heldPages(domid: number): Iterable<number> {
    return this.known(domid).heldPages();
  }

  /** Raises a virtual IRQ. @returns whether the domain has bound it. @param vcpu of a per-vCPU VIRQ; global ones ignore it */
  raiseVirq(domid: number, virq: number, vcpu = 0): boolean {
    const domain = this.domains.get(domid);
    const global = isGlobalVirq(virq);
    const port = domain?.virqPorts[global ? 0 : vcpu]?.[virq];
    if (!domain || !port) return false;
    const channel = domain.table.get(port)!;
    this.setPending(domain, channel, global ? channel.vcpu : vcpu);
    return true;
  }

  isVirqBound(domid: number, virq: number, vcpu = 0): boolean {
    return Boolean(this.domains.get(domid)?.virqPorts[isGlobalVirq(virq) ? 0 : vcpu]?.[virq]);
  }

  /** 1 if the port has an event pending, 0 if not, −EINVAL if it is no port that events can arrive at. */
  isPending(domid: number, port: number): number {
    const domain = this.known(domid);
    const channel = domain.table.get(port);
    if (!channel?.usable) return -EINVAL;
    return domain.delivery.isPending(port) ? 1 : 0;
  }

  /**
   * The event part of SCHEDOP_poll: looks at the ports, and notes the vCPU as a poller when none is pending. The
   * caller has checked the number of ports (at most 128) and undelivered upcalls, and keeps the time-out.
   * @returns 'pending' (go on at once), 'blocked' (wait for `unblock`), or −EINVAL
   */
  poll(domid: number, vcpu: number, ports: readonly number[]): 'pending' | 'blocked' | number {
    for (const port of ports) {
      const pending = this.isPending(domid, port);
      if (pending < 0) return pending;
      if (pending) return 'pending';
    }
    this.known(domid).startPolling(vcpu, ports.length === 1 ? ports[0]! : -1);
    return 'blocked';
  }

  /** The vCPU does not wait any more (its time-out, or another event). Harmless if it did not. */
  stopPolling(domid: number, vcpu: number): void {
    this.domains.get(domid)?.stopPolling(vcpu);
  }

  /** For native domains, which have no mask bits in memory. */
  maskNative(domid: number, port: number): void {
    const { native } = this.known(domid);
    if (!native) throw new InvariantError(`Domain ${domid} is not native: its mask is in its own memory.`);
    native.mask(port);
  }

  /** All ports in use, lowest first: for lsevtchn and the like. */
  list(domid: number): ({ localPort: number } & PortStatus)[] {
    const ports = this.known(domid).table.ports.filter((c) => c.usable);
    return ports.map((c) => ({ localPort: c.port, ...statusOf(c) }));
  }

  /** Throws InvariantError if the tables contradict each other. For tests and test builds. */
  checkInvariants(): void {
    checkInvariants(this.domains);
  }

  private closePort(domain: DomainEvents, port: number): number {
    const channel = domain.table.get(port);
    if (!channel?.usable) return -EINVAL;
    if (channel.state === PORT_STATE.virq) {
      // A global VIRQ may have moved to another vCPU, but is recorded under vCPU 0.
      const vcpu = isGlobalVirq(channel.virq) ? 0 : channel.vcpu;
      domain.virqPorts[vcpu]![channel.virq] = 0;
    } else if (channel.state === PORT_STATE.interdomain) {
      const peer = this.known(channel.remoteDomid).table.get(channel.remotePort)!;
      peer.state = PORT_STATE.unbound;
      peer.remoteDomid = domain.domid;
      peer.remotePort = 0;
    }
    domain.delivery.clearPending(port);
    domain.table.release(channel);
    return 0;
  }

  private setPending(domain: DomainEvents, channel: Channel, vcpu: number): void {
    if (this.trace.wants('event')) {
      this.trace.emit({
        class: 'event',
        domid: domain.domid,
        vcpu,
        name: 'event',
        args: { port: channel.port },
      });
    }
    domain.delivery.setPending(channel, vcpu);
  }

  private lookup(caller: number, dom: number): DomainEvents | undefined {
    return this.domains.get(dom === DOMID_SELF ? caller : dom);
  }

  private mayTarget(caller: number, target: DomainEvents): boolean {
    return target.domid === caller || this.known(caller).privileged;
  }

  private known(domid: number): DomainEvents {
    const domain = this.domains.get(domid);
    if (!domain) throw new InvariantError(`Domain ${domid} has no event channels here.`);
    return domain;
  }
}
