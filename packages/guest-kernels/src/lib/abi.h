/* What a 64-bit PV guest needs of Xen's public interface. Numbers and layouts are those of xen/include/public. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef signed char s8;
typedef short s16;
typedef short s16;
typedef int s32;
typedef long s64;

#define PAGE_SIZE 4096
#define VIRT_BASE 0xffffffff80000000ul

/* Hypercalls (xen.h) */
enum {
  HC_set_trap_table = 0,
  HC_mmu_update = 1,
  HC_set_gdt = 2,
  HC_stack_switch = 3,
  HC_set_callbacks = 4,
  HC_set_debugreg = 8,
  HC_get_debugreg = 9,
  HC_memory_op = 12,
  HC_multicall = 13,
  HC_update_va_mapping = 14,
  HC_set_timer_op = 15,
  HC_xen_version = 17,
  HC_console_io = 18,
  HC_grant_table_op = 20,
  HC_vm_assist = 21,
  HC_iret = 23,
  HC_vcpu_op = 24,
  HC_set_segment_base = 25,
  HC_mmuext_op = 26,
  HC_sched_op = 29,
  HC_event_channel_op = 32,
  HC_physdev_op = 33,
};

enum { EFAULT = 14 };
#define DOMID_SELF 0x7ff0ul
#define M2P_TABLE ((const u64 *)0xffff800000000000ul)
#define UVMF_INVLPG 2

/* sched.h */
enum { SCHEDOP_yield, SCHEDOP_block, SCHEDOP_shutdown, SCHEDOP_poll };
enum { PHYSDEVOP_set_iopl = 6 };
enum { SHUTDOWN_poweroff, SHUTDOWN_reboot, SHUTDOWN_suspend, SHUTDOWN_crash };
struct sched_shutdown { u32 reason; };
struct sched_poll { u32 *ports; u32 nr_ports; u64 timeout; };

/* event_channel.h */
enum {
  EVTCHNOP_bind_virq = 1, EVTCHNOP_send = 4, EVTCHNOP_status = 5, EVTCHNOP_alloc_unbound = 6, EVTCHNOP_unmask = 9,
};
enum { VIRQ_TIMER = 0 };
struct evtchn_bind_virq { u32 virq, vcpu, port; };
struct evtchn_send { u32 port; };

/* version.h */
enum {
  XENVER_version = 0, XENVER_extraversion = 1, XENVER_capabilities = 3, XENVER_platform_parameters = 5,
  XENVER_get_features = 6, XENVER_pagesize = 7,
};
struct xen_feature_info { u32 submap_idx, submap; };

/* memory.h */
enum { XENMEM_maximum_ram_page = 2, XENMEM_current_reservation = 3, XENMEM_maximum_reservation = 4, XENMEM_memory_map = 9 };
struct xen_memory_map { u32 nr_entries; void *buffer; };
struct e820_entry { u64 addr, size; u32 type; } __attribute__((packed));

/* xen.h */
struct vcpu_time_info {
  u32 version, pad0;
  u64 tsc_timestamp, system_time;
  u32 tsc_to_system_mul;
  s8 tsc_shift;
  u8 flags, pad1[2];
};
struct vcpu_info {
  u8 evtchn_upcall_pending, evtchn_upcall_mask, pad[6];
  u64 evtchn_pending_sel;
  u64 cr2, arch_pad;
  struct vcpu_time_info time;
};
struct shared_info {
  struct vcpu_info vcpu_info[32];
  u64 evtchn_pending[64], evtchn_mask[64];
  u32 wc_version, wc_sec, wc_nsec, wc_sec_hi;
};
struct start_info {
  char magic[32];
  u64 nr_pages, shared_info;
  u32 flags, pad;
  u64 store_mfn;
  u32 store_evtchn, pad1;
  u64 console_mfn;
  u32 console_evtchn, pad2;
  u64 pt_base, nr_pt_frames, mfn_list, mod_start, mod_len;
  char cmd_line[1024];
  u64 first_p2m_pfn, nr_p2m_frames;
};
_Static_assert(sizeof(struct vcpu_info) == 64 && __builtin_offsetof(struct vcpu_info, cr2) == 16, "vcpu_info");
_Static_assert(__builtin_offsetof(struct shared_info, evtchn_mask) == 2560, "shared_info");
_Static_assert(__builtin_offsetof(struct start_info, cmd_line) == 128, "start_info");

/* io/console.h */
struct console_ring {
  char in[1024], out[2048];
  u32 in_cons, in_prod, out_cons, out_prod;
};

/* io/xs_wire.h */
enum {
  XS_DIRECTORY = 1, XS_READ = 2, XS_GET_PERMS = 3, XS_WATCH = 4, XS_UNWATCH = 5, XS_TRANSACTION_START = 6,
  XS_TRANSACTION_END = 7, XS_GET_DOMAIN_PATH = 10, XS_WRITE = 11, XS_MKDIR = 12, XS_RM = 13, XS_SET_PERMS = 14,
  XS_WATCH_EVENT = 15, XS_ERROR = 16, XS_RESET_WATCHES = 21,
};
enum { XENSTORE_SERVER_FEATURE_RECONNECTION = 1 };
enum { XENSTORE_CONNECTED = 0, XENSTORE_RECONNECT = 1 };
struct xs_header { u32 type, req_id, tx_id, len; };
struct xs_ring {
  char req[1024], rsp[1024];
  u32 req_cons, req_prod, rsp_cons, rsp_prod;
  u32 server_features, connection, error;
};
