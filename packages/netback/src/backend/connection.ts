import type { Guest, OwnPage } from '@xenolith/guest-api';
import { BackRing } from '@xenolith/shared-ring';
import { type DeviceEnd, GrantedPages, XenbusError } from '@xenolith/xenbus';
import { CONTROL_SLOT_SIZE, RX_SLOT_SIZE, TX_SLOT_SIZE } from '../codec/index.js';
import type { NetworkPort } from '../ports/network-port.js';
import { ControlRing } from './control-ring.js';

import { FrontendMemory } from './frontend-memory.js';
import { Hashing } from './hashing.js';
import { MulticastFilter } from './multicast-filter.js';
import type { FrontendFeatures, NetBackendSettings } from './options.js';
import { RateLimit } from './rate-limit.js';
import { RxQueue } from './rx-queue.js';
import { TxQueue } from './tx-queue.js';
import { Vif } from './vif.js';

export interface ConnectionOptions {
  port: NetworkPort;
  features: FrontendFeatures;
  wantsMulticastControl: boolean;
  queues: number;
  /** The toolstack's `rate` node. */
  rate: string | undefined;
}

/** All that a vif has of its frontend while it is connected: rings, event channels, queues. */
export class Connection {
  private readonly vif: Vif;
  private readonly hashing: Hashing;
  private readonly memory: FrontendMemory;
  private readonly page: OwnPage;
  private readonly rings: GrantedPages[] = [];
  private readonly ports: number[] = [];
  private readonly txQueues: TxQueue[] = [];
  private failed = false;

  constructor(
    private readonly guest: Guest,
    private readonly end: DeviceEnd,
    private readonly settings: NetBackendSettings,
    private readonly options: ConnectionOptions,
  ) {
    const page = guest.memory.allocate();
    if (!page) throw new XenbusError('ENOMEM', 'no page of memory is left');
    this.page = page;
    this.memory = new FrontendMemory(guest, end.otherId, page);
    this.hashing = new Hashing(options.queues);
    this.vif = new Vif({
      name: end.name,
      port: options.port,
      features: options.features,
      hashing: this.hashing,
      multicast: options.wantsMulticastControl ? new MulticastFilter() : undefined,
      log: settings.log,
      statistics: settings.statistics(end),
    });
    this.setRate(options.rate);
  }

  /** Takes up a pair of rings. @param prefix of the frontend's nodes that describe it */
  async addQueue(prefix: string): Promise<void> {
    const { other } = this.end;
    const txRef = await other.number(`${prefix}tx-ring-ref`);
    const rxRef = await other.number(`${prefix}rx-ring-ref`);
    const txPort = await other.findNumber(`${prefix}event-channel-tx`);
    const shared = txPort === undefined ? await other.number(`${prefix}event-channel`) : undefined;
    const rxPort = shared ?? (await other.number(`${prefix}event-channel-rx`));
    const tx = this.map(txRef, TX_SLOT_SIZE);
    const rx = this.map(rxRef, RX_SLOT_SIZE);
    const ports = { tx: -1, rx: -1 };
    const common = { vif: this.vif, memory: this.memory, clock: this.guest.clock };
    const onCorrupt = (problem: string) => this.fail(problem);
    const txQueue = new TxQueue({
      ...common,
      ...tx,
      onCorrupt,
      notify: () => void this.guest.eventChannels.send(ports.tx),
    });
    const rxQueue = new RxQueue({
      ...common,
      ...rx,
      onCorrupt,
      maxWaitingBytes: this.settings.maxWaitingBytes,
      notify: () => void this.guest.eventChannels.send(ports.rx),
    });
    this.txQueues.push(txQueue);
    this.vif.rxQueues.push(rxQueue);
    if (shared !== undefined) {
      ports.tx = ports.rx = this.bind(shared, () => {
        txQueue.service();
        rxQueue.service();
      });
    } else {
      ports.tx = this.bind(txPort!, () => txQueue.service());
      ports.rx = this.bind(rxPort, () => rxQueue.service());
    }
  }

  /** Takes up the control ring, if the frontend has one. */
  async addControlRing(): Promise<void> {
    const ref = await this.end.other.findNumber('ctrl-ring-ref');
    if (ref === undefined) return;
    const remotePort = await this.end.other.number('event-channel-ctrl');
    const { ring, live } = this.map(ref, CONTROL_SLOT_SIZE);
    let port = -1;
    const control = new ControlRing({
      ring,
      hashing: this.hashing,
      copyFrom: (page, length) => this.memory.read(page, 0, length),
      notify: () => void this.guest.eventChannels.send(port),
      onCorrupt: () => this.fail('the indices of the control ring are impossible'),
    });
    port = this.bind(remotePort, () => !this.failed && live() && control.service());
  }

  /** The link is up. */
  start(): void {
    this.options.port.connect((frame) => this.vif.receive(frame));
  }

  /** @param text the toolstack's `rate` node */
  setRate(text: string | undefined): void {
    this.vif.rate = RateLimit.parse(text, this.guest.clock);
  }

  close(): void {
    const { guest } = this;
    this.options.port.connect(undefined);
    for (const queue of [...this.txQueues, ...this.vif.rxQueues]) queue.close();
    for (const port of this.ports.splice(0)) guest.eventChannels.close(port);
    for (const ring of this.rings.splice(0)) ring.unmap();
    guest.memory.free(this.page);
  }

  private map(ref: number, slotSize: number): { ring: BackRing; live: () => boolean } {
    const { guest, end } = this;
    const pages = GrantedPages.map(guest.grants, end.otherId, [ref]);
    this.rings.push(pages);
    return { ring: new BackRing(pages, { slotSize }), live: () => pages.live };
  }

  private bind(remotePort: number, handler: () => void): number {
    const { guest, end } = this;
    const port = guest.eventChannels.bindInterdomain(end.otherId, remotePort);
    if (port < 0) {
      const channel = `event channel ${remotePort} of domain ${end.otherId}`;
      throw new XenbusError('EINVAL', `${channel} cannot be bound: ${port}`);
    }
    this.ports.push(port);
    guest.eventChannels.onEvent(port, handler);
    return port;
  }

  /** The frontend broke the protocol: the link goes down at once, its rings go when it has closed. */
  private fail(problem: string): void {
    this.failed = true;
    this.options.port.connect(undefined);
    for (const queue of [...this.txQueues, ...this.vif.rxQueues]) queue.close();
    void this.end.fatal(new XenbusError('EINVAL', `${problem}: the frontend is served no longer`));
  }
}
