/*
 * One of two domains that share a page by grant. The command line says which, and who the other is:
 *   grant N   grants a page to domain N, as reference 8
 *   map N     maps that page of domain N, as soon as there is one, and prints what it holds
 * Then each takes single letters from the console: r reads the page, w writes to it, u unmaps it (of `map`), c crashes,
 * b reboots, q powers off. The domain that granted may die at any time: the page stays until it is unmapped.
 */
#include "../lib/guest.h"
#include "../lib/hypercall.h"

/* grant_table.h */
enum { GNTTABOP_map_grant_ref = 0, GNTTABOP_unmap_grant_ref = 1, GNTTABOP_setup_table = 2 };
enum { GTF_permit_access = 1, GNTMAP_host_map = 2 };
struct grant_entry { u16 flags, domid; u32 frame; };
struct map_grant_ref { u64 host_addr; u32 flags, ref; u16 dom; s16 status; u32 handle; u64 dev_bus_addr; };
struct unmap_grant_ref { u64 host_addr, dev_bus_addr; u32 handle; s16 status; };
struct setup_table { u16 dom; u32 nr_frames; s16 status; u64 *frame_list; };

enum { REF = 8 };
static char page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u8 table[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u32 handle;
static int mapped;

static u64 mfn_of(const void *page_address) {
  const u64 *mfns = (const u64 *)start_info->mfn_list;
  return mfns[(ADDRESS(page_address) - VIRT_BASE) / PAGE_SIZE];
}

static void grant_to(u16 domain) {
  u64 frame;
  struct setup_table setup = {DOMID_SELF, 1, 0, &frame};
  hypercall3(HC_grant_table_op, GNTTABOP_setup_table, ADDRESS(&setup), 1);
  hypercall3(HC_update_va_mapping, ADDRESS(table), frame << 12 | 7, UVMF_INVLPG);
  memcpy(page, "hello, neighbour", 17);
  volatile struct grant_entry *entry = (struct grant_entry *)table + REF;
  entry->domid = domain;
  entry->frame = (u32)mfn_of(page);
  barrier();
  entry->flags = GTF_permit_access;
  mapped = 1;
  printf("granted to %u\n", domain);
}

static void map_of(u16 domain) {
  struct map_grant_ref op = {ADDRESS(page), GNTMAP_host_map, REF, domain, 0, 0, 0};
  for (;;) {
    hypercall3(HC_grant_table_op, GNTTABOP_map_grant_ref, ADDRESS(&op), 1);
    if (op.status == 0) break;
    time_alarm(time_system() + 10000000);
    wait_for_event();
  }
  handle = op.handle;
  mapped = 1;
  printf("mapped of %u: %s\n", domain, page);
}

static void unmap(void) {
  struct unmap_grant_ref op = {ADDRESS(page), 0, handle, 0};
  hypercall3(HC_grant_table_op, GNTTABOP_unmap_grant_ref, ADDRESS(&op), 1);
  mapped = 0;
  printf("unmapped: %d\n", op.status);
}

static u16 number(const char *text) {
  u16 n = 0;
  for (; *text >= '0' && *text <= '9'; text++) n = (u16)(n * 10 + (*text - '0'));
  return n;
}

static int command(void) {
  int c;
  while ((c = console_read()) < 0) wait_for_event();
  return c;
}

void kmain(void) {
  const char *line = (const char *)start_info->cmd_line;
  int maps = strncmp(line, "map ", 4) == 0;
  if (!maps && strncmp(line, "grant ", 6) != 0) {
    printf("Say on the command line: grant N or map N.\n");
    return;
  }
  events_init();
  if (maps) map_of(number(line + 4));
  else grant_to(number(line + 6));
  for (;;) switch (command()) {
    case 'r': if (mapped) printf("read: %s\n", page); break;
    case 'w': if (mapped) memcpy(page, "changed", 8), printf("written\n"); break;
    case 'u': if (maps && mapped) unmap(); break;
    case 'c': console_flush(); __builtin_trap();
    case 'b': shutdown(SHUTDOWN_reboot);
    case 'q': return;
    }
}
