#include "guest.h"
#include "hypercall.h"

struct start_info *start_info;
struct shared_info *shared_info;

/* Gives its address to shared_info; its own frame is not used. */
static u8 shared_info_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

void *mfn_to_virt(u64 mfn) { return (void *)(VIRT_BASE + M2P_TABLE[mfn] * PAGE_SIZE); }

void shutdown(u32 reason) {
  struct sched_shutdown op = {reason};
  console_flush();
  for (;;) hypercall2(HC_sched_op, SCHEDOP_shutdown, ADDRESS(&op));
}

void guest_start(struct start_info *info) {
  start_info = info;
  /* Present, writable, user: PV kernels run in ring 3. */
  hypercall3(HC_update_va_mapping, ADDRESS(shared_info_page), info->shared_info | 7, UVMF_INVLPG);
  shared_info = (struct shared_info *)shared_info_page;
  kmain();
  shutdown(SHUTDOWN_poweroff);
}
