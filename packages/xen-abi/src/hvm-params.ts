// Xen public headers hvm/params.h and hvm/hvm_op.h.

import { array, struct, u8, u16, u32, u64 } from './layout/index.js';

/** Parameters of `HVMOP_set_param` and `HVMOP_get_param`. */
export const HVM_PARAM_PAE_ENABLED = 4;
export const HVM_PARAM_DM_DOMAIN = 13;
export const HVM_PARAM_MEMORY_EVENT_CR0 = 20;
export const HVM_PARAM_MEMORY_EVENT_CR3 = 21;
export const HVM_PARAM_MEMORY_EVENT_CR4 = 22;
export const HVM_PARAM_MEMORY_EVENT_INT3 = 23;
export const HVM_PARAM_NESTEDHVM = 24;
export const HVM_PARAM_MEMORY_EVENT_SINGLE_STEP = 25;
export const HVM_PARAM_BUFIOREQ_EVTCHN = 26;
export const HVM_PARAM_MEMORY_EVENT_MSR = 30;
export const HVM_PARAM_CALLBACK_IRQ = 0;
export const HVM_PARAM_STORE_PFN = 1;
export const HVM_PARAM_STORE_EVTCHN = 2;
export const HVM_PARAM_IOREQ_PFN = 5;
export const HVM_PARAM_BUFIOREQ_PFN = 6;
export const HVM_PARAM_VIRIDIAN = 9;
export const HVM_PARAM_TIMER_MODE = 10;
export const HVM_PARAM_HPET_ENABLED = 11;
export const HVM_PARAM_IDENT_PT = 12;
export const HVM_PARAM_ACPI_S_STATE = 14;
export const HVM_PARAM_VM86_TSS = 15;
export const HVM_PARAM_VPT_ALIGN = 16;
export const HVM_PARAM_CONSOLE_PFN = 17;
export const HVM_PARAM_CONSOLE_EVTCHN = 18;
export const HVM_PARAM_ACPI_IOPORTS_LOCATION = 19;
export const HVM_PARAM_PAGING_RING_PFN = 27;
export const HVM_PARAM_MONITOR_RING_PFN = 28;
export const HVM_PARAM_SHARING_RING_PFN = 29;
export const HVM_PARAM_TRIPLE_FAULT_REASON = 31;
export const HVM_PARAM_IOREQ_SERVER_PFN = 32;
export const HVM_PARAM_NR_IOREQ_SERVER_PAGES = 33;
export const HVM_PARAM_VM_GENERATION_ID_ADDR = 34;
export const HVM_PARAM_ALTP2M = 35;
export const HVM_PARAM_X87_FIP_WIDTH = 36;
export const HVM_PARAM_VM86_TSS_SIZED = 37;
export const HVM_PARAM_MCA_CAP = 38;

/** How `HVM_PARAM_CALLBACK_IRQ` is read: the type is in bits 56-63. */
export const HVM_PARAM_CALLBACK_IRQ_TYPE_MASK = 0xff00_0000_0000_0000n;
export const HVM_PARAM_CALLBACK_TYPE_GSI = 0;
export const HVM_PARAM_CALLBACK_TYPE_PCI_INTX = 1;
export const HVM_PARAM_CALLBACK_TYPE_VECTOR = 2;

/** Number of parameters. */
export const HVM_NR_PARAMS = 39;

/** Operations of `hvm_op`. */
export const HVMOP_set_param = 0;
export const HVMOP_get_param = 1;
export const HVMOP_flush_tlbs = 5;
export const HVMOP_pagetable_dying = 9;
export const HVMOP_get_time = 10;
export const HVMOP_xentrace = 11;
export const HVMOP_set_mem_access = 12;
export const HVMOP_get_mem_access = 13;
export const HVMOP_get_mem_type = 15;
export const HVMOP_set_evtchn_upcall_vector = 23;
export const HVMOP_guest_request_vm_event = 24;
export const HVMOP_altp2m = 25;

/** Argument of `HVMOP_set_param` and `HVMOP_get_param`. */
export const XenHvmParam = struct('struct xen_hvm_param', { domid: u16, pad: u16, index: u32, value: u64 });

/** Argument of `HVMOP_pagetable_dying`. */
export const XenHvmPagetableDying = struct('struct xen_hvm_pagetable_dying', {
  domid: u16,
  pad: array(u16, 3),
  gpa: u64,
});

/** Argument of `HVMOP_get_time`. */
export const XenHvmGetTime = struct('struct xen_hvm_get_time', { now: u64 });

/** Argument of `HVMOP_xentrace`: a record of the guest's own for the host's trace. */
export const XenHvmXentrace = struct('struct xen_hvm_xentrace', {
  event: u16,
  extra_bytes: u16,
  extra: array(u8, 28),
});

/** Argument of `HVMOP_get_mem_type`. */
export const XenHvmGetMemType = struct('struct xen_hvm_get_mem_type', {
  domid: u16,
  mem_type: u16,
  pad: array(u16, 2),
  pfn: u64,
});

/** Argument of `HVMOP_set_evtchn_upcall_vector`. */
export const XenHvmEvtchnUpcallVector = struct('struct xen_hvm_evtchn_upcall_vector', {
  vcpu: u32,
  vector: u8,
});
