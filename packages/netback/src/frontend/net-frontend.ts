import type { Guest } from '@xenolith/guest-api';
import { FrontRing } from '@xenolith/shared-ring';
import {
  type DeviceEnd,
  type FrontendDevice,
  type FrontendDriver,
  GrantedBuffer,
  XenbusError,
  XenbusState,
} from '@xenolith/xenbus';
import { RX_SLOT_SIZE, TX_SLOT_SIZE } from '../codec/index.js';
import { adapted } from '../frame/adapted.js';
import type { Frame } from '../frame/frame.js';
import type { NetworkPort } from '../ports/network-port.js';
import { Receiver } from './receiver.js';
import { Sender } from './sender.js';

/** A network interface as a guest in TypeScript uses it: its end of the cable. */
export interface FrontInterface extends NetworkPort {
  /** Its address, as the toolstack wrote it: `00:16:3e:…`. */
  readonly mac: string;
  /**
   * Sends a frame; what the backend cannot do with it is done here.
   * @returns false if there is no room, and the frame (or a part of it, if it had to be cut) was dropped
   */
  send(frame: Frame): boolean;
}

export interface NetFrontendOptions {
  /** Takes frames with blank checksums and large ones; what receives them must be able to. Default false. */
  offloads?: boolean;
}

/**
 * The frontend of network devices for guests in TypeScript: one pair of rings, one event channel for both.
 * @param onInterface is told when an interface may be used, and with undefined when it is gone; `id` is its number
 */
export function netFrontend(
  guest: Guest,
  onInterface: (id: string, network: FrontInterface | undefined) => void,
  options: NetFrontendOptions = {},
): FrontendDriver {
  return {
    type: 'vif',
    probe: async (end) => new NetFrontendDevice(guest, end, onInterface, options),
  };
}

class NetFrontendDevice implements FrontendDevice {
  private readonly shared: GrantedBuffer[] = [];
  private port = -1;
  private sender: Sender | undefined;
  private receiver: Receiver | undefined;

  constructor(
    private readonly guest: Guest,
    private readonly end: DeviceEnd,
    private readonly onInterface: (id: string, network: FrontInterface | undefined) => void,
    private readonly options: NetFrontendOptions,
  ) {}

  async setUp(): Promise<typeof XenbusState.connected> {
    const { end, guest } = this;
    const [tx, rx] = [this.allocate(), this.allocate()];
    const notify = () => void guest.eventChannels.send(this.port);
    const allocate = () => GrantedBuffer.allocate(guest, end.otherId);
    this.sender = new Sender(new FrontRing(tx.page, { slotSize: TX_SLOT_SIZE }), notify, allocate);
    this.receiver = new Receiver(new FrontRing(rx.page, { slotSize: RX_SLOT_SIZE }), notify, allocate);
    this.port = guest.eventChannels.allocUnbound(end.otherId);
    if (this.port < 0) throw new XenbusError('ENOMEM', `no event channel for ${end.name}: ${this.port}`);
    guest.eventChannels.onEvent(this.port, () => {
      this.sender?.service();
      this.receiver?.service();
    });
    await end.own.write({
      'tx-ring-ref': tx.ref,
      'rx-ring-ref': rx.ref,
      'event-channel': this.port,
      'request-rx-copy': 1,
      'feature-rx-notify': 1,
      'feature-sg': 1,
      ...(this.options.offloads
        ? { 'feature-gso-tcpv4': 1, 'feature-gso-tcpv6': 1, 'feature-ipv6-csum-offload': 1 }
        : { 'feature-no-csum-offload': 1 }),
    });
    return XenbusState.connected;
  }

  async connected(): Promise<void> {
    const { other, own, identity } = this.end;
    const can = {
      scatterGather: await other.flag('feature-sg'),
      tcp4: await other.flag('feature-gso-tcpv4'),
      tcp6: await other.flag('feature-gso-tcpv6'),
      checksum4: !(await other.flag('feature-no-csum-offload')),
      checksum6: await other.flag('feature-ipv6-csum-offload'),
    };
    this.onInterface(identity.id, {
      mac: await own.read('mac'),
      send: (frame) => {
        const parts = adapted(frame, can);
        return parts.map((part) => this.sender?.send(part) ?? false).every(Boolean);
      },
      connect: (receiver) => this.receiver?.connect(receiver),
    });
  }

  async disconnect(): Promise<void> {
    this.onInterface(this.end.identity.id, undefined);
    this.guest.eventChannels.close(this.port);
    this.sender?.close();
    this.receiver?.close();
    this.sender = this.receiver = undefined;
    for (const buffer of this.shared.splice(0)) buffer.free();
  }

  private allocate(): GrantedBuffer {
    const buffer = GrantedBuffer.allocate(this.guest, this.end.otherId);
    this.shared.push(buffer);
    return buffer;
  }
}
