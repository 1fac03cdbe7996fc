import type { Guest } from '@xenolith/guest-api';
import { silentLogger } from '@xenolith/host-interface';
import {
  type BackendDevice,
  type BackendDriver,
  type DeviceEnd,
  type Directory,
  XenbusError,
} from '@xenolith/xenbus';
import type { NetworkPort } from '../ports/network-port.js';
import { Connection } from './connection.js';
import type { FrontendFeatures, NetBackendOptions, NetBackendSettings } from './options.js';
import { noTraffic } from './statistics.js';

const DEFAULTS = {
  log: silentLogger,
  offloads: () => true,
  statistics: noTraffic,
  maxQueues: 4,
  maxWaitingBytes: 1 << 20,
  async release(port: NetworkPort): Promise<void> {
    port.close?.();
  },
} satisfies Partial<NetBackendOptions>;

/** Where a vif without a cable leads. */
const NOWHERE: NetworkPort = { send() {}, connect() {} };

/** The backend of network devices (`vif`): to be given to `serveBackends`. */
export function netBackend(guest: Guest, options: NetBackendOptions): BackendDriver {
  const settings: NetBackendSettings = { ...DEFAULTS, ...options };
  return {
    type: 'vif',
    async probe(end) {
      const port = await settings.open(end);
      await end.own.write(offered(settings, settings.offloads(end)));
      return new NetBackendDevice(guest, end, settings, port);
    },
  };
}

const offered = ({ maxQueues }: NetBackendSettings, offloads: boolean): Record<string, number> => ({
  'feature-sg': 1,
  'feature-gso-tcpv4': Number(offloads),
  'feature-gso-tcpv6': Number(offloads),
  'feature-ipv6-csum-offload': Number(offloads),
  // Without it that of IPv4 is offered.
  ...(!offloads && { 'feature-no-csum-offload': 1 }),
  'feature-rx-copy': 1,
  'feature-rx-flip': 0,
  'feature-multicast-control': 1,
  'feature-split-event-channels': 1,
  'multi-queue-max-queues': maxQueues,
  'feature-ctrl-ring': 1,
});

/** One vif of one frontend. */
class NetBackendDevice implements BackendDevice {
  private connection: Connection | undefined;

  constructor(
    private readonly guest: Guest,
    private readonly end: DeviceEnd,
    private readonly settings: NetBackendSettings,
    private readonly port: NetworkPort | undefined,
  ) {}

  async connect(): Promise<void> {
    const { guest, end, settings } = this;
    const { other } = end;
    if (!(await other.flag('request-rx-copy')))
      throw new XenbusError('EINVAL', `${other.path} does not ask for rx-copy, and there is nothing else`);
    const queues = (await other.findNumber('multi-queue-num-queues', settings.maxQueues)) ?? 1;
    if (queues === 0) throw new XenbusError('EINVAL', `${other.path} asks for no queue at all`);
    const connection = new Connection(guest, end, settings, {
      port: this.port ?? NOWHERE,
      features: { ...(await featuresOf(other)), ...(!settings.offloads(end) && NO_OFFLOADS) },
      wantsMulticastControl: await other.flag('request-multicast-control'),
      queues,
      rate: await end.own.find('rate'),
    });
    this.connection = connection;
    for (let i = 0; i < queues; i++) await connection.addQueue(queues > 1 ? `queue-${i}/` : '');
    await connection.addControlRing();
    connection.start();
  }

  async disconnect(): Promise<void> {
    this.connection?.close();
    this.connection = undefined;
  }

  async changed(name: string): Promise<void> {
    if (name === 'rate') this.connection?.setRate(await this.end.own.find('rate'));
  }

  async remove(): Promise<void> {
    if (this.port) await this.settings.release(this.port);
  }
}

const NO_OFFLOADS = { checksum4: false, checksum6: false, tcp4: false, tcp6: false };

async function featuresOf(other: Directory): Promise<FrontendFeatures> {
  return {
    scatterGather: await other.flag('feature-sg'),
    checksum4: !(await other.flag('feature-no-csum-offload')),
    checksum6: await other.flag('feature-ipv6-csum-offload'),
    tcp4: await other.flag('feature-gso-tcpv4'),
    tcp6: await other.flag('feature-gso-tcpv6'),
    rxNotify: await other.flag('feature-rx-notify'),
  };
}
