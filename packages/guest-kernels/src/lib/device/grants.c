#include "../hypercall.h"
#include "device.h"

/* grant_table.h */
enum { GNTTABOP_setup_table = 2, GTF_permit_access = 1, GTF_readonly = 4, GTF_in_use = 0x18 };
struct setup_table { u16 dom; u32 nr_frames; s16 status; u64 *frame_list; };
struct entry { u16 flags, domid; u32 frame; };

/* The first eight are kept for Xen's tools. */
enum { FIRST = 8, ENTRIES = PAGE_SIZE / sizeof(struct entry) };
static struct entry table[ENTRIES] __attribute__((aligned(PAGE_SIZE)));
static u16 free_refs[ENTRIES];
static u32 free_count;

static void init(void) {
  u64 frame = 0;
  struct setup_table op = {DOMID_SELF, 1, 0, &frame};
  if (hypercall3(HC_grant_table_op, GNTTABOP_setup_table, ADDRESS(&op), 1) < 0 || op.status) return;
  /* Present, writable, user. */
  hypercall3(HC_update_va_mapping, ADDRESS(table), frame << 12 | 7, UVMF_INVLPG);
  for (u32 ref = ENTRIES - 1; ref >= FIRST; ref--) free_refs[free_count++] = (u16)ref;
}

u32 grant_page(const void *page, u16 domid, int readonly) {
  static int is_open;
  if (!is_open) init();
  is_open = 1;
  if (!free_count) return 0;
  u32 ref = free_refs[--free_count];
  u64 mfn = ((const u64 *)start_info->mfn_list)[(ADDRESS(page) - VIRT_BASE) / PAGE_SIZE];
  table[ref].domid = domid;
  table[ref].frame = (u32)mfn;
  barrier();
  WRITE_ONCE(table[ref].flags, (u16)(GTF_permit_access | (readonly ? GTF_readonly : 0)));
  return ref;
}

int grant_end(u32 ref) {
  u16 flags = READ_ONCE(table[ref].flags);
  do {
    if (flags & GTF_in_use) return 0;
  } while (!__atomic_compare_exchange_n(&table[ref].flags, &flags, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
  free_refs[free_count++] = (u16)ref;
  return 1;
}

u32 event_channel_for(u16 domid) {
  struct { u16 dom, remote_dom; u32 port; } op = {DOMID_SELF, domid, 0};
  hypercall2(HC_event_channel_op, EVTCHNOP_alloc_unbound, ADDRESS(&op));
  return op.port;
}
