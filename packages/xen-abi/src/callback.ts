// Xen public header callback.h.

import { struct, u16, ulong, x86_64 } from './layout/index.js';

/** Kinds of callback. */
export const CALLBACKTYPE_event = 0;
export const CALLBACKTYPE_failsafe = 1;
export const CALLBACKTYPE_syscall = 2;
export const CALLBACKTYPE_sysenter_deprecated = 3;
export const CALLBACKTYPE_nmi = 4;
export const CALLBACKTYPE_sysenter = 5;
export const CALLBACKTYPE_syscall32 = 7;

/** Flags: events stay masked while the callback runs. */
export const _CALLBACKF_mask_events = 0;
export const CALLBACKF_mask_events = 1;

/** Operations of `callback_op`. */
export const CALLBACKOP_register = 0;
export const CALLBACKOP_unregister = 1;

/** Argument of `CALLBACKOP_register`. */
export const CallbackRegister = struct(
  'struct callback_register',
  {
    /** `CALLBACKTYPE_*`. */
    type: u16,
    /** `CALLBACKF_*`. */
    flags: u16,
    address: ulong,
  },
  { only: x86_64 },
);

/** Argument of `CALLBACKOP_unregister`. */
export const CallbackUnregister = struct('struct callback_unregister', { type: u16, _unused: u16 });
