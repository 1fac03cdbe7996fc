import {
  XEN_NETIF_CTRL_HASH_TYPE_IPV4,
  XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP,
  XEN_NETIF_CTRL_HASH_TYPE_IPV6,
  XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP,
} from '@xenolith/xen-abi';
import { findHeaders, findIp } from './headers.js';

/** Bytes of a key: enough for two addresses of IPv6 and two ports. */
export const TOEPLITZ_KEY_BYTES = 40;

/** The Toeplitz hash of `input`, at most four bytes less than the key has. */
export function toeplitz(key: Uint8Array, input: Uint8Array): number {
  let window = (key[0]! << 24) | (key[1]! << 16) | (key[2]! << 8) | key[3]!;
  let hash = 0;
  for (const [i, byte] of input.entries()) {
    const next = key[i + 4] ?? 0;
    for (let bit = 7; bit >= 0; bit--) {
      if ((byte >> bit) & 1) hash ^= window;
      window = (window << 1) | ((next >> bit) & 1);
    }
  }
  return hash >>> 0;
}

/** A frame's hash. */
export interface FrameHash {
  /** `XEN_NETIF_CTRL_HASH_TYPE_*`: what it was taken over. */
  type: number;
  value: number;
}

/**
 * Hashes a frame over its addresses, and over TCP's ports where `types` has that.
 * @param types `XEN_NETIF_CTRL_HASH_TYPE_*`, any of them
 * @returns undefined if the frame is nothing that they have
 */
export function hashFrame(data: Uint8Array, key: Uint8Array, types: number): FrameHash | undefined {
  const found = findIp(data);
  if (!found) return undefined;
  const { version, ip } = found;
  const [plain, withPorts] =
    version === 4
      ? [XEN_NETIF_CTRL_HASH_TYPE_IPV4, XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP]
      : [XEN_NETIF_CTRL_HASH_TYPE_IPV6, XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP];
  const addresses = version === 4 ? data.subarray(ip + 12, ip + 20) : data.subarray(ip + 8, ip + 40);
  const headers = (types & withPorts) !== 0 ? findHeaders(data) : undefined;
  if (headers?.protocol === 'tcp') {
    const ports = data.subarray(headers.transport, headers.transport + 4);
    return { type: withPorts, value: toeplitz(key, Uint8Array.of(...addresses, ...ports)) };
  }
  return (types & plain) === 0 ? undefined : { type: plain, value: toeplitz(key, addresses) };
}
