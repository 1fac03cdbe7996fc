import {
  XEN_NETIF_CTRL_HASH_ALGORITHM_NONE,
  XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ,
  XEN_NETIF_CTRL_HASH_TYPE_IPV4,
  XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP,
  XEN_NETIF_CTRL_HASH_TYPE_IPV6,
  XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP,
} from '@xenolith/xen-abi';
import { type FrameHash, hashFrame, TOEPLITZ_KEY_BYTES } from '../frame/toeplitz.js';

/** Every kind of hash that there is. */
export const ALL_HASH_TYPES =
  XEN_NETIF_CTRL_HASH_TYPE_IPV4 |
  XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP |
  XEN_NETIF_CTRL_HASH_TYPE_IPV6 |
  XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP;

/** Any key that spreads flows over queues, for frontends that did not choose one. */
const OWN_KEY = Uint8Array.from({ length: TOEPLITZ_KEY_BYTES }, (_, i) => (i * 151 + 77) & 0xff);

/** How frames are spread over a frontend's queues: as it asked over the control ring, or as we like. */
export class Hashing {
  algorithm: number = XEN_NETIF_CTRL_HASH_ALGORITHM_NONE;
  /** `XEN_NETIF_CTRL_HASH_TYPE_*`, any of them. */
  types = 0;
  key = new Uint8Array(TOEPLITZ_KEY_BYTES);
  /** Queues by hash; empty: the hash itself says. */
  mapping: number[] = [];

  constructor(readonly queues: number) {}

  get isChosen(): boolean {
    return this.algorithm === XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ;
  }

  /** The queue for a frame, and the hash that the frontend is to be told. */
  choose(data: Uint8Array): { queue: number; hash?: FrameHash } {
    if (!this.isChosen) {
      const own = this.queues > 1 ? hashFrame(data, OWN_KEY, ALL_HASH_TYPES) : undefined;
      return { queue: (own?.value ?? 0) % this.queues };
    }
    const hash = hashFrame(data, this.key, this.types);
    if (!hash) return { queue: 0 };
    const { mapping, queues } = this;
    return { queue: mapping.length > 0 ? mapping[hash.value % mapping.length]! : hash.value % queues, hash };
  }
}
