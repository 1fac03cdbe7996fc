import { EBUSY, EINVAL, ENOSPC, EVTCHN_FIFO_PRIORITY_DEFAULT } from '@xenolith/xen-abi';
import { Channel, PORT_STATE } from './channel.js';
import type { Delivery } from './delivery.js';

/** Ports come in buckets of a page (64 entries of 64 bytes): a port beyond the last bucket is EINVAL, a free one often is not. */
export const PORTS_PER_BUCKET = 64;

/** The ports of one domain; allocation always takes the lowest free port, as `get_free_port` of Xen's event_channel.c does. */
export class PortTable {
  readonly ports: Channel[] = [];
  /** Ports that are neither free nor reserved. */
  active = 0;
  dying = false;
  private lowestFree = 1;

  /** @param maxPort highest port number that may be allocated (`max_event_channels` of xl.cfg); @param abi the one in use */
  constructor(
    readonly maxPort: number,
    private readonly abi: () => Pick<Delivery, 'limit' | 'isBusy'>,
  ) {
    this.grow();
    this.ports[0]!.state = PORT_STATE.reserved;
  }

  /** The port's channel, or undefined for a number beyond the buckets. */
  get(port: number): Channel | undefined {
    return this.ports[port];
  }

  /** Takes the lowest free port. The caller gives it a state or calls `release`. @returns the channel, or −errno */
  allocate(): Channel | number {
    if (this.dying) return -EINVAL;
    let firstBusy: number | undefined;
    for (let port = this.lowestFree; ; port++) {
      const got = this.take(port);
      if (got === -EBUSY) {
        if (this.ports[port]!.state === PORT_STATE.free) firstBusy ??= port;
        continue;
      }
      this.lowestFree = firstBusy ?? (typeof got === 'number' ? port : port + 1);
      return got;
    }
  }

  release(channel: Channel): void {
    channel.state = PORT_STATE.free;
    channel.vcpu = 0;
    channel.remoteDomid = channel.remotePort = channel.virq = 0;
    channel.priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    this.active--;
    if (channel.port < this.lowestFree) this.lowestFree = channel.port;
  }

  private take(port: number): Channel | number {
    const abi = this.abi();
    if (port > this.maxPort || port >= abi.limit) return -ENOSPC;
    while (port >= this.ports.length) this.grow();
    const channel = this.ports[port]!;
    if (channel.state !== PORT_STATE.free || abi.isBusy?.(port)) return -EBUSY;
    this.active++;
    return channel;
  }

  private grow(): void {
    const first = this.ports.length;
    for (let i = 0; i < PORTS_PER_BUCKET; i++) this.ports.push(new Channel(first + i));
  }
}
