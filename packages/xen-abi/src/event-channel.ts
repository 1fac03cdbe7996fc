// Xen public header event_channel.h.

import { array, struct, u8, u16, u32, u64, union } from './layout/index.js';

/** Operations of `event_channel_op`. */
export const EVTCHNOP_bind_interdomain = 0;
export const EVTCHNOP_bind_virq = 1;
export const EVTCHNOP_bind_pirq = 2;
export const EVTCHNOP_close = 3;
export const EVTCHNOP_send = 4;
export const EVTCHNOP_status = 5;
export const EVTCHNOP_alloc_unbound = 6;
export const EVTCHNOP_bind_ipi = 7;
export const EVTCHNOP_bind_vcpu = 8;
export const EVTCHNOP_unmask = 9;
export const EVTCHNOP_reset = 10;
export const EVTCHNOP_init_control = 11;
export const EVTCHNOP_expand_array = 12;
export const EVTCHNOP_set_priority = 13;
/** Only Xen itself makes this: an `EVTCHNOP_reset` that goes on. */
export const EVTCHNOP_reset_cont = 14;

/** Flags of `evtchn_bind_pirq`. */
export const BIND_PIRQ__WILL_SHARE = 1;

/** States of a port, reported by `EVTCHNOP_status`. */
export const EVTCHNSTAT_closed = 0;
export const EVTCHNSTAT_unbound = 1;
export const EVTCHNSTAT_interdomain = 2;
export const EVTCHNSTAT_pirq = 3;
export const EVTCHNSTAT_virq = 4;
export const EVTCHNSTAT_ipi = 5;

/** Ports under the 2-level ABI. */
export const EVTCHN_2L_NR_CHANNELS = 0x1000;

/** FIFO ABI: priorities (0 is the most urgent), bits of an event word, and ports. */
export const EVTCHN_FIFO_PRIORITY_MAX = 0;
export const EVTCHN_FIFO_PRIORITY_DEFAULT = 7;
export const EVTCHN_FIFO_PRIORITY_MIN = 15;
export const EVTCHN_FIFO_MAX_QUEUES = 16;
export const EVTCHN_FIFO_PENDING = 31;
export const EVTCHN_FIFO_MASKED = 30;
export const EVTCHN_FIFO_LINKED = 29;
export const EVTCHN_FIFO_BUSY = 28;
export const EVTCHN_FIFO_LINK_BITS = 17;
export const EVTCHN_FIFO_LINK_MASK = 0x1_ffff;
export const EVTCHN_FIFO_NR_CHANNELS = 0x2_0000;

/** Argument of `EVTCHNOP_alloc_unbound`. */
export const EvtchnAllocUnbound = struct('struct evtchn_alloc_unbound', {
  dom: u16,
  remote_dom: u16,
  port: u32,
});

/** Argument of `EVTCHNOP_bind_interdomain`. */
export const EvtchnBindInterdomain = struct('struct evtchn_bind_interdomain', {
  remote_dom: u16,
  remote_port: u32,
  local_port: u32,
});

/** Argument of `EVTCHNOP_bind_virq`. */
export const EvtchnBindVirq = struct('struct evtchn_bind_virq', { virq: u32, vcpu: u32, port: u32 });

/** Argument of `EVTCHNOP_bind_pirq`. */
export const EvtchnBindPirq = struct('struct evtchn_bind_pirq', { pirq: u32, flags: u32, port: u32 });

/** Argument of `EVTCHNOP_bind_ipi`. */
export const EvtchnBindIpi = struct('struct evtchn_bind_ipi', { vcpu: u32, port: u32 });

/** Argument of `EVTCHNOP_close`. */
export const EvtchnClose = struct('struct evtchn_close', { port: u32 });

/** Argument of `EVTCHNOP_send`. */
export const EvtchnSend = struct('struct evtchn_send', { port: u32 });

/** Argument of `EVTCHNOP_status`. */
export const EvtchnStatus = struct('struct evtchn_status', {
  dom: u16,
  port: u32,
  /** `EVTCHNSTAT_*`. */
  status: u32,
  vcpu: u32,
  u: union('', {
    unbound: struct('', { dom: u16 }),
    interdomain: struct('', { dom: u16, port: u32 }),
    pirq: u32,
    virq: u32,
  }),
});

/** Argument of `EVTCHNOP_bind_vcpu`. */
export const EvtchnBindVcpu = struct('struct evtchn_bind_vcpu', { port: u32, vcpu: u32 });

/** Argument of `EVTCHNOP_unmask`. */
export const EvtchnUnmask = struct('struct evtchn_unmask', { port: u32 });

/** Argument of `EVTCHNOP_reset`. */
export const EvtchnReset = struct('struct evtchn_reset', { dom: u16 });

/** Argument of `EVTCHNOP_init_control`. */
export const EvtchnInitControl = struct('struct evtchn_init_control', {
  control_gfn: u64,
  offset: u32,
  vcpu: u32,
  link_bits: u8,
  _pad: array(u8, 7),
});

/** Argument of `EVTCHNOP_expand_array`. */
export const EvtchnExpandArray = struct('struct evtchn_expand_array', { array_gfn: u64 });

/** Argument of `EVTCHNOP_set_priority`. */
export const EvtchnSetPriority = struct('struct evtchn_set_priority', { port: u32, priority: u32 });

/** Argument of the old `event_channel_op_compat` hypercall: the operation and its argument together. */
export const EvtchnOp = struct('struct evtchn_op', {
  cmd: u32,
  u: union('', {
    alloc_unbound: EvtchnAllocUnbound,
    bind_interdomain: EvtchnBindInterdomain,
    bind_virq: EvtchnBindVirq,
    bind_pirq: EvtchnBindPirq,
    bind_ipi: EvtchnBindIpi,
    close: EvtchnClose,
    send: EvtchnSend,
    status: EvtchnStatus,
    bind_vcpu: EvtchnBindVcpu,
    unmask: EvtchnUnmask,
  }),
});

/** Control block of one vCPU under the FIFO ABI: which priorities are ready, and the head of each queue. */
export const EvtchnFifoControlBlock = struct('struct evtchn_fifo_control_block', {
  ready: u32,
  _rsvd: u32,
  head: array(u32, EVTCHN_FIFO_MAX_QUEUES),
});
