import type { Logger } from '@xenolith/host-interface';
import type { DeviceEnd } from '@xenolith/xenbus';
import type { NetworkPort } from '../ports/network-port.js';

export interface NetBackendOptions {
  /**
   * What a vif is plugged into, from what the toolstack wrote into its directory (`bridge`, `mac`). undefined: nothing;
   * what the guest sends is lost.
   */
  open(end: DeviceEnd): Promise<NetworkPort | undefined>;
  /** The port is used no longer. Default: closes it. */
  release?(port: NetworkPort): Promise<void>;
  log?: Logger;
  /** Pairs of rings that a frontend may use for one vif. Default 4. */
  maxQueues?: number;
  /** Bytes that may wait for one queue's guest. Default 1 MiB. */
  maxWaitingBytes?: number;
}

export type NetBackendSettings = Required<NetBackendOptions>;
