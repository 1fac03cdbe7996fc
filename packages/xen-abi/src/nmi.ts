// Xen public header nmi.h.

import { struct, ulong } from './layout/index.js';

/** Operations of `nmi_op`. */
export const XENNMI_register_callback = 0;
export const XENNMI_unregister_callback = 1;

/** Bits of `arch_shared_info.nmi_reason`. */
export const _XEN_NMIREASON_io_error = 0;
export const XEN_NMIREASON_io_error = 1;
export const _XEN_NMIREASON_pci_serr = 1;
export const XEN_NMIREASON_pci_serr = 2;
export const _XEN_NMIREASON_unknown = 2;
export const XEN_NMIREASON_unknown = 4;

/** Argument of `XENNMI_register_callback`. */
export const XennmiCallback = struct('struct xennmi_callback', { handler_address: ulong, pad: ulong });
