// Xen public header io/netif.h.

import { array, bytes, s16, struct, u8, u16, u32, union } from '../layout/index.js';

/** Slots of a packet that every backend takes. */
export const XEN_NETIF_NR_SLOTS_MIN = 18;
/** Bytes of a packet. */
export const XEN_NETIF_MAX_TX_SIZE = 0xffff;

/** The protocol's checksum is blank: it holds the pseudo-header's sum only. */
export const NETTXF_csum_blank = 1;
export const NETTXF_data_validated = 2;
/** The packet goes on in the next slot. */
export const NETTXF_more_data = 4;
/** The next slot is a `NetifExtraInfo`. */
export const NETTXF_extra_info = 8;

export const NETRXF_data_validated = 1;
export const NETRXF_csum_blank = 2;
export const NETRXF_more_data = 4;
export const NETRXF_extra_info = 8;
/** Of old backends: the slot is no packet but the size of a large one's segments. */
export const NETRXF_gso_prefix = 16;

export const XEN_NETIF_EXTRA_TYPE_NONE = 0;
export const XEN_NETIF_EXTRA_TYPE_GSO = 1;
export const XEN_NETIF_EXTRA_TYPE_MCAST_ADD = 2;
export const XEN_NETIF_EXTRA_TYPE_MCAST_DEL = 3;
export const XEN_NETIF_EXTRA_TYPE_HASH = 4;
export const XEN_NETIF_EXTRA_TYPE_MAX = 5;
/** Another extra slot follows. */
export const XEN_NETIF_EXTRA_FLAG_MORE = 1;

export const XEN_NETIF_GSO_TYPE_NONE = 0;
export const XEN_NETIF_GSO_TYPE_TCPV4 = 1;
export const XEN_NETIF_GSO_TYPE_TCPV6 = 2;

export const NETIF_RSP_DROPPED = -2;
export const NETIF_RSP_ERROR = -1;
export const NETIF_RSP_OKAY = 0;
/** The response of a slot that was an extra one: to be ignored. */
export const NETIF_RSP_NULL = 1;

/** A piece of a packet that a guest sends. */
export const NetifTxRequest = struct('struct netif_tx_request', {
  gref: u32,
  offset: u16,
  /** `NETTXF_*`. */
  flags: u16,
  id: u16,
  /** The first piece: bytes of the whole packet; later ones: of the piece. */
  size: u16,
});

/** What does not fit into a packet's own slots, in a slot behind the first. */
export const NetifExtraInfo = struct('struct netif_extra_info', {
  /** `XEN_NETIF_EXTRA_TYPE_*`. */
  type: u8,
  flags: u8,
  u: union('', {
    gso: struct('', {
      /** Largest payload of a segment. */
      size: u16,
      /** `XEN_NETIF_GSO_TYPE_*`. */
      type: u8,
      pad: u8,
      features: u16,
    }),
    mcast: struct('', { addr: bytes(6) }),
    hash: struct('', { type: u8, algorithm: u8, value: bytes(4) }),
    pad: array(u16, 3),
  }),
});

export const NetifTxResponse = struct('struct netif_tx_response', {
  id: u16,
  /** `NETIF_RSP_*`. */
  status: s16,
});

/** A page for a packet, or a piece of one, that a guest will receive. */
export const NetifRxRequest = struct('struct netif_rx_request', { id: u16, pad: u16, gref: u32 });

export const NetifRxResponse = struct('struct netif_rx_response', {
  id: u16,
  /** Where in the page the bytes begin. */
  offset: u16,
  /** `NETRXF_*`. */
  flags: u16,
  /** Bytes, or a `NETIF_RSP_*`. */
  status: s16,
});

export const XEN_NETIF_CTRL_TYPE_INVALID = 0;
export const XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS = 1;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS = 2;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_KEY = 3;
export const XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE = 4;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE = 5;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING = 6;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM = 7;
export const XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE = 8;
export const XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING = 9;
export const XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING = 10;

export const XEN_NETIF_CTRL_STATUS_SUCCESS = 0;
export const XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED = 1;
export const XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER = 2;
export const XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW = 3;

export const XEN_NETIF_CTRL_HASH_ALGORITHM_NONE = 0;
export const XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ = 1;

/** What a hash is taken over. */
export const XEN_NETIF_CTRL_HASH_TYPE_IPV4 = 1;
export const XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP = 2;
export const XEN_NETIF_CTRL_HASH_TYPE_IPV6 = 4;
export const XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP = 8;

/** A request of the control ring. */
export const XenNetifCtrlRequest = struct('struct xen_netif_ctrl_request', {
  id: u16,
  /** `XEN_NETIF_CTRL_TYPE_*`. */
  type: u16,
  data: array(u32, 3),
});

export const XenNetifCtrlResponse = struct('struct xen_netif_ctrl_response', {
  id: u16,
  type: u16,
  /** `XEN_NETIF_CTRL_STATUS_*`. */
  status: u32,
  data: u32,
});

/** An entry of the list that `XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING` names. */
export const XenNetifGref = struct('struct xen_netif_gref', { ref: u32, flags: u16, status: u16 });
