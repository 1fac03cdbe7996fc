// Xen public header io/xs_wire.h: the xenstore protocol.

import { bytes, struct, u32 } from '../layout/index.js';

/** Ring and message limits, in bytes. */
export const XENSTORE_RING_SIZE = 1024;
export const XENSTORE_PAYLOAD_MAX = 4096;
export const XENSTORE_ABS_PATH_MAX = 3072;
export const XENSTORE_REL_PATH_MAX = 2048;

/** Bits of `xenstore_domain_interface.server_features`. */
export const XENSTORE_SERVER_FEATURE_RECONNECTION = 1;
export const XENSTORE_SERVER_FEATURE_ERROR = 2;

/** Values of `xenstore_domain_interface.connection`. */
export const XENSTORE_CONNECTED = 0;
export const XENSTORE_RECONNECT = 1;

/** Values of `xenstore_domain_interface.error`. */
export const XENSTORE_ERROR_NONE = 0;
export const XENSTORE_ERROR_COMM = 1;
export const XENSTORE_ERROR_RINGIDX = 2;
export const XENSTORE_ERROR_PROTO = 3;

/** Message types, `xsd_sockmsg.type`. */
export const XS_CONTROL = 0;
export const XS_DIRECTORY = 1;
export const XS_READ = 2;
export const XS_GET_PERMS = 3;
export const XS_WATCH = 4;
export const XS_UNWATCH = 5;
export const XS_TRANSACTION_START = 6;
export const XS_TRANSACTION_END = 7;
export const XS_INTRODUCE = 8;
export const XS_RELEASE = 9;
export const XS_GET_DOMAIN_PATH = 10;
export const XS_WRITE = 11;
export const XS_MKDIR = 12;
export const XS_RM = 13;
export const XS_SET_PERMS = 14;
export const XS_WATCH_EVENT = 15;
export const XS_ERROR = 16;
export const XS_IS_DOMAIN_INTRODUCED = 17;
export const XS_RESUME = 18;
export const XS_SET_TARGET = 19;
export const XS_RESET_WATCHES = 21;
export const XS_DIRECTORY_PART = 22;
export const XS_TYPE_COUNT = 23;
export const XS_INVALID = 0xffff;

/** The old name of `XS_CONTROL`. */
export const XS_DEBUG = 0;

/** Fields of a watch event, in order. */
export const XS_WATCH_PATH = 0;
export const XS_WATCH_TOKEN = 1;

/** Values of the flag argument of `XS_WRITE` in old clients. */
export const XS_WRITE_NONE = 'NONE';
export const XS_WRITE_CREATE = 'CREATE';
export const XS_WRITE_CREATE_EXCL = 'CREATE|EXCL';

/** Error names on the wire (`XS_ERROR`), in the header's order; text, so independent of a client's errnos. */
export const xsdErrors = [
  'EINVAL',
  'EACCES',
  'EEXIST',
  'EISDIR',
  'ENOENT',
  'ENOMEM',
  'ENOSPC',
  'EIO',
  'ENOTEMPTY',
  'ENOSYS',
  'EROFS',
  'EBUSY',
  'EAGAIN',
  'EISCONN',
  'E2BIG',
  'EPERM',
] as const;

/** Header of every message; `len` bytes of payload follow. */
export const XsdSockmsg = struct('struct xsd_sockmsg', {
  /** `XS_*`. */
  type: u32,
  req_id: u32,
  /** Transaction; 0 for none. */
  tx_id: u32,
  len: u32,
});

/** The page shared by a domain and xenstored. Indices run freely and are masked with the ring size. */
export const XenstoreDomainInterface = struct('struct xenstore_domain_interface', {
  /** Requests, from the domain. */
  req: bytes(XENSTORE_RING_SIZE),
  /** Replies and watch events, to the domain. */
  rsp: bytes(XENSTORE_RING_SIZE),
  req_cons: u32,
  req_prod: u32,
  rsp_cons: u32,
  rsp_prod: u32,
  server_features: u32,
  connection: u32,
  error: u32,
});
