import {
  NetifExtraInfo,
  XEN_NETIF_EXTRA_FLAG_MORE,
  XEN_NETIF_EXTRA_TYPE_GSO,
  XEN_NETIF_EXTRA_TYPE_HASH,
  XEN_NETIF_EXTRA_TYPE_MCAST_ADD,
  XEN_NETIF_EXTRA_TYPE_MCAST_DEL,
} from '@xenolith/xen-abi';

/** What stands in a slot behind a packet's first one. */
export type ExtraInfo =
  | {
      kind: 'gso';
      /** Largest payload of a segment, in bytes. */
      size: number;
      /** `XEN_NETIF_GSO_TYPE_*` */
      type: number;
    }
  | {
      kind: 'multicast';
      operation: 'add' | 'remove';
      /** Six bytes. */
      address: Uint8Array;
    }
  | {
      kind: 'hash';
      /** `XEN_NETIF_CTRL_HASH_TYPE_*`, one of them. */
      type: number;
      /** `XEN_NETIF_CTRL_HASH_ALGORITHM_*` */
      algorithm: number;
      value: number;
    };

/**
 * Takes a slot with extra info apart.
 * @param slot a private copy
 * @returns undefined for a type that the protocol does not have; `more`: another one follows
 */
export function decodeExtra(slot: Uint8Array): { extra: ExtraInfo | undefined; more: boolean } {
  const info = NetifExtraInfo.at(new DataView(slot.buffer, slot.byteOffset, slot.length));
  return { extra: contents(info), more: (info.flags & XEN_NETIF_EXTRA_FLAG_MORE) !== 0 };
}

function contents(info: ReturnType<typeof NetifExtraInfo.at>): ExtraInfo | undefined {
  switch (info.type) {
    case XEN_NETIF_EXTRA_TYPE_GSO:
      return { kind: 'gso', size: info.u.gso.size, type: info.u.gso.type };
    case XEN_NETIF_EXTRA_TYPE_MCAST_ADD:
    case XEN_NETIF_EXTRA_TYPE_MCAST_DEL: {
      const operation = info.type === XEN_NETIF_EXTRA_TYPE_MCAST_ADD ? 'add' : 'remove';
      return { kind: 'multicast', operation, address: info.u.mcast.addr.slice() };
    }
    case XEN_NETIF_EXTRA_TYPE_HASH: {
      const { type, algorithm, value } = info.u.hash;
      return { kind: 'hash', type, algorithm, value: new DataView(value.slice().buffer).getUint32(0, true) };
    }
  }
}

/** @param more another extra info follows */
export function encodeExtra(extra: ExtraInfo, more: boolean): Uint8Array {
  const slot = new Uint8Array(NetifExtraInfo.size);
  const view = new DataView(slot.buffer);
  const info = NetifExtraInfo.at(view);
  info.flags = more ? XEN_NETIF_EXTRA_FLAG_MORE : 0;
  if (extra.kind === 'gso') {
    info.type = XEN_NETIF_EXTRA_TYPE_GSO;
    info.u.gso.size = extra.size;
    info.u.gso.type = extra.type;
  } else if (extra.kind === 'multicast') {
    info.type = extra.operation === 'add' ? XEN_NETIF_EXTRA_TYPE_MCAST_ADD : XEN_NETIF_EXTRA_TYPE_MCAST_DEL;
    slot.set(extra.address.subarray(0, 6), NetifExtraInfo.offset.u);
  } else {
    info.type = XEN_NETIF_EXTRA_TYPE_HASH;
    info.u.hash.type = extra.type;
    info.u.hash.algorithm = extra.algorithm;
    view.setUint32(NetifExtraInfo.size - 4, extra.value, true);
  }
  return slot;
}
