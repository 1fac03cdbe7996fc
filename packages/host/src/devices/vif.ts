import { BadInputError, type HostInputs } from '@xenolith/host-interface';
import { type Capture, type NetworkPort, noTraffic } from '@xenolith/netback';
import { backendPath, type DeviceSpec } from '@xenolith/xenbus';
import type { GuestDevice } from './guest-devices.js';
import { scriptPath } from './scripts.js';

/** A network interface of a guest (xl-network-configuration(5)). */
export interface VifConfig {
  /** Six pairs of hexadecimal digits with colons between them. Default: random, with Xen's prefix 00:16:3e. */
  mac?: string;
  /** Name of the switch that it is plugged into; all guests of the host with the same name share one. Default `xenbr0`. */
  bridge?: string;
  /** What it is plugged into instead of a switch; closed when the guest has ended or the interface is gone. */
  port?: NetworkPort;
  /** Bytes that the guest may send in each interval; default: no limit. */
  rate?: VifRate;
  /** Exchanges nothing with other isolated interfaces of its switch. Default false. */
  isolated?: boolean;
  /** Writes down what goes by, as `vifDOMID.DEVID`. Only where domain 0 serves the interface. */
  capture?: Capture;
  /** Large frames and checksums may be left to the other end, for speed. Default true. */
  offloads?: boolean;
  /** Bytes of IP in a frame, as the guest is told: 68 … 65,535. Default 1500. */
  mtu?: number;
  /** For xenstore only: what a person or a script may want to know. */
  ip?: string;
  vifname?: string;
  /** Number among the guest's interfaces. Default: the lowest that is free. */
  devid?: number;
  /** Name or number of the domain that serves it, if it is not domain 0. `bridge` is one of that domain's own then. */
  backend?: string | number;
  /** Script of that domain that plugs the interface in. Default `/etc/xen/scripts/vif-bridge`. */
  script?: string;
  /**
   * Whether the guest may show the backend pages that hold other data, too. A driver domain's own interface needs `false` to
   * send on what it got from its guests: those pages it cannot grant. Default true.
   */
  trusted?: boolean;
}

/** A limit of what a guest sends. */
export interface VifRate {
  bytes: number;
  intervalUs: number;
}

const DEFAULT_MTU = 1500;
const DEFAULT_BRIDGE = 'xenbr0';

/** A network interface plugged into a guest. */
export class Vif implements GuestDevice {
  readonly mac: string;
  backendId = 0;
  /** Its traffic where domain 0 serves it, over all that the guest's kernels did. */
  readonly statistics = noTraffic();

  /** @throws BadInputError if the address is none */
  constructor(
    readonly id: number,
    readonly config: VifConfig,
    inputs: HostInputs,
  ) {
    this.mac = config.mac === undefined ? randomMac(inputs) : checkedMac(config.mac);
    const { mtu = DEFAULT_MTU } = config;
    if (!(Number.isInteger(mtu) && mtu >= 68 && mtu <= 0xffff))
      throw new BadInputError(`An interface’s MTU is 68 to 65535, not ${mtu}.`);
  }

  get title(): string {
    return `network interface ${this.id}`;
  }

  get bridge(): string {
    return this.config.bridge ?? DEFAULT_BRIDGE;
  }

  /** What libxl writes for an interface (libxl_nic.c). */
  spec(domid: number): DeviceSpec {
    const { mtu = DEFAULT_MTU, rate, ip, vifname, script, trusted = true } = this.config;
    const { backendId } = this;
    return {
      type: 'vif',
      id: this.id,
      frontendId: domid,
      backendId,
      backend: {
        ...(backendId !== 0 && { script: scriptPath(script ?? 'vif-bridge') }),
        ...(vifname !== undefined && { vifname }),
        mac: this.mac,
        ...(ip !== undefined && { ip }),
        ...(rate && { rate: `${rate.bytes},${rate.intervalUs}` }),
        ...(mtu !== DEFAULT_MTU && { mtu }),
        ...(!this.config.port && { bridge: this.bridge }),
        handle: this.id,
        type: 'vif',
        // The switch has it at once; in a driver domain a script tells.
        'hotplug-status': backendId === 0 ? 'connected' : '',
      },
      frontend: { handle: this.id, mac: this.mac, trusted: trusted ? 1 : 0 },
      frontendReadonly: { mtu },
    };
  }

  backendPath(domid: number): string {
    return backendPath(this.spec(domid));
  }

  async close(): Promise<void> {
    this.config.port?.close?.();
  }
}

/** As libxl makes one: 23 random bits behind Xen's prefix. */
function randomMac(inputs: HostInputs): string {
  const bytes = Uint8Array.of(0x00, 0x16, 0x3e, 0, 0, 0);
  inputs.randomFill(bytes.subarray(3));
  bytes[3]! &= 0x7f;
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** @throws BadInputError unless it is one machine's address; given back in lower case */
export function checkedMac(text: string): string {
  if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(text))
    throw new BadInputError(`"${text}" is no MAC address: it should look like 00:16:3e:12:34:56.`);
  const bytes = text.split(':').map((byte) => Number.parseInt(byte, 16));
  if ((bytes[0]! & 1) !== 0)
    throw new BadInputError(`The MAC address ${text} is a group's: an interface has one of its own.`);
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
