import type { Logger } from '@xenolith/host-interface';
import type { DeviceEnd } from '@xenolith/xenbus';
import type { Abilities } from '../frame/adapted.js';
import type { NetworkPort } from '../ports/network-port.js';
import type { VifStatistics } from './statistics.js';

export interface NetBackendOptions {
  /**
   * What a vif is plugged into, from what the toolstack wrote into its directory (`bridge`, `mac`). undefined: nothing;
   * what the guest sends is lost.
   */
  open(end: DeviceEnd): Promise<NetworkPort | undefined>;
  /** The port is used no longer. Default: closes it. */
  release?(port: NetworkPort): Promise<void>;
  /**
   * Whether a vif offers offloads: large frames to be cut and checksums to be computed, by us for the guest and by the guest for
   * us. Without, frames go to it whole and summed up. (A guest may leave the checksum of IPv4 blank all the same: Linux
   * always does.) Default: all do.
   */
  offloads?(end: DeviceEnd): boolean;
  /** Where a vif's traffic is counted. Default: anew for each, and nobody sees it. */
  statistics?(end: DeviceEnd): VifStatistics;
  log?: Logger;
  /** Pairs of rings that a frontend may use for one vif. Default 4. */
  maxQueues?: number;
  /** Bytes that may wait for one queue's guest. Default 1 MiB. */
  maxWaitingBytes?: number;
}

export type NetBackendSettings = Required<NetBackendOptions>;

/** What a frontend can take. */
export interface FrontendFeatures extends Abilities {
  /** It tells when it has offered pages. */
  rxNotify: boolean;
}
