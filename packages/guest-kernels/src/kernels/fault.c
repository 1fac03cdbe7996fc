/*
 * Guests that go wrong, chosen by the command line:
 *   crash    an undefined instruction, with no handler for it
 *   panic    asks for SHUTDOWN_crash, as a kernel's panic does
 *   spin     a loop with events masked
 *   stack    a fault while the stack pointer points nowhere
 *   recurse  a page-fault handler that faults
 *   wild     hypercalls with pointers to everywhere; prints their results and powers off
 */
#include "../lib/guest.h"
#include "../lib/hypercall.h"

static int is(const char *name) { return strcmp(start_info->cmd_line, name) == 0; }

struct trap_info {
  u8 vector, flags;
  u16 cs;
  u64 address;
};

static void fault(void) { *(volatile u8 *)0x10 = 1; }

static void recurse(void) {
  /* FLAT_KERNEL_CS of a 64-bit guest (arch-x86/xen-x86_64.h). */
  static const struct trap_info traps[] = {{14, 0, 0xe033, ADDRESS(fault)}, {0, 0, 0, 0}};
  hypercall1(HC_set_trap_table, ADDRESS(traps));
  fault();
}

static void stack(void) {
  __asm__ volatile("xorl %%esp, %%esp\n\tud2" ::: "memory");
  __builtin_unreachable();
}

static void wild(void) {
  static const u64 pointers[] = {
      0, 1, 0x7ffffffffffful, 0x800000000000ul, 0x8000000000000000ul, 0xffff7ffffffffffful,
      0xffff800000000000ul, 0xffff82d080200000ul, 0xffff87fffffffffful, 0xffff880000000000ul,
      0xfffffffffffff000ul, 0xfffffffffffffffful,
  };
  for (u64 i = 0; i < sizeof pointers / sizeof *pointers; i++) {
    u64 p = pointers[i];
    printf("%016lx:", p);
    printf(" sched_op %ld", hypercall2(HC_sched_op, SCHEDOP_poll, p));
    printf(" event_channel_op %ld", hypercall2(HC_event_channel_op, EVTCHNOP_status, p));
    printf(" xen_version %ld", hypercall2(HC_xen_version, XENVER_extraversion, p));
    printf(" memory_op %ld", hypercall2(HC_memory_op, XENMEM_memory_map, p));
    printf(" mmu_update %ld", hypercall4(HC_mmu_update, p, 1, 0, DOMID_SELF));
    printf(" multicall %ld", hypercall2(HC_multicall, p, 1));
    printf(" update_va_mapping %ld\n", hypercall3(HC_update_va_mapping, p, ~0ul, 0));
  }
}

void kmain(void) {
  printf("fault: %s\n", start_info->cmd_line);
  console_flush();
  if (is("crash")) __builtin_trap();
  if (is("panic")) shutdown(SHUTDOWN_crash);
  if (is("spin"))
    for (;;) barrier();
  if (is("stack")) stack();
  if (is("recurse")) recurse();
  if (is("wild")) {
    wild();
    return;
  }
  printf("Say on the command line: crash, panic, spin, stack, recurse or wild.\n");
}
