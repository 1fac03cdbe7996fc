// Xen public header io/console.h.

import { bytes, struct, u32 } from '../layout/index.js';

/** The page shared by a domain and its console. Indices run freely and are masked with the ring size. */
export const XenconsInterface = struct('struct xencons_interface', {
  /** Input, to the domain. */
  in: bytes(1024),
  /** Output, from the domain. */
  out: bytes(2048),
  in_cons: u32,
  in_prod: u32,
  out_cons: u32,
  out_prod: u32,
});
