/*
 * Makes every hypercall and sub-operation with right and wrong arguments, as errnos-rows.inc lists them, and prints what
 * came back: a line `call = result` for each. Under another Xen the same lines come; tests compare them.
 */
#include "../lib/guest.h"
#include "../lib/hypercall.h"

/* One call. The words are at `arg` when it is made; the result is printed, and the s16 at byte `shown` of `arg` if that is not 0. */
struct row {
  const char *text;
  u64 number, args[6], words[12], shown;
};

/* Pages to play with: 0 and 1 mapped writable, 2 and 3 read-only, 4 to 7 not mapped at all. */
static u8 play[8][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u64 arg_page[PAGE_SIZE / 8] __attribute__((aligned(PAGE_SIZE)));

void event_upcall(void);
void failsafe_callback(void);

/*
 * What is known only when the guest runs: values with these top 16 bits are replaced. PTE: frame of a play page with flags;
 * MFN: its number; TABLE: frame of the page table of a level for `play`; TABLE_PTE: with flags; ENTRY: machine address of
 * play page n's entry.
 */
#define TAG(kind, n, low) (0xabc0000000000000ul | (u64)(kind) << 48 | (u64)(n) << 32 | (u64)(low))
#define MFN(n) TAG(1, n, 0)
#define PTE(n, flags) TAG(2, n, flags)
#define TABLE(level) TAG(3, level, 0)
#define ENTRY(n, command) TAG(4, n, command)
#define TABLE_PTE(level, flags) TAG(5, level, flags)

#define ARG ADDRESS(arg_page)
#define LIST (ADDRESS(arg_page) + 0x400)
#define PAGE(n) ADDRESS(play[n])
#define WILD 0x10ul
#define XEN 0xffff800000000000ul
#define XEN_DATA 0xffff830000000000ul
#define NONCANONICAL 0x8000000000000000ul
#define NO_MFN 0xffffffffful

static struct row rows[] = {
#include "errnos-rows.inc"
};

static u64 frame_of(const void *p) { return ((const u64 *)start_info->mfn_list)[(ADDRESS(p) - VIRT_BASE) / PAGE_SIZE]; }

static u64 table_frame(u64 level) {
  const u64 *table = (const u64 *)start_info->pt_base;
  u64 mfn = frame_of(table);
  for (u64 l = 4; l > level; l--) {
    mfn = table[ADDRESS(play) >> (3 + 9 * l) & 511] >> 12 & 0xfffffffffful;
    table = mfn_to_virt(mfn);
  }
  return mfn;
}

static u64 resolve(u64 value) {
  if (value >> 52 != 0xabc) return value;
  u64 n = value >> 32 & 0xffff, low = value & 0xffffffff;
  switch (value >> 48 & 15) {
    case 1: return frame_of(play[n]);
    case 2: return frame_of(play[n]) << 12 | low;
    case 3: return table_frame(n);
    case 4: return table_frame(1) << 12 | (ADDRESS(play[n]) >> 12 & 511) * 8 | low;
    case 5: return table_frame(n) << 12 | low;
    default: return value;
  }
}

static s64 make(u64 number, const u64 *a) {
  u64 result = number;
  register u64 r10 __asm__("r10") = resolve(a[3]);
  register u64 r8 __asm__("r8") = resolve(a[4]);
  register u64 r9 __asm__("r9") = resolve(a[5]);
  u64 x = resolve(a[0]), y = resolve(a[1]), z = resolve(a[2]);
  __asm__ volatile("syscall" : "+a"(result), "+D"(x), "+S"(y), "+d"(z), "+r"(r10), "+r"(r8), "+r"(r9) : : "rcx", "r11", "memory");
  return (s64)result;
}

void kmain(void) {
  events_init();
  for (u64 n = 2; n < 8; n++)
    hypercall3(HC_update_va_mapping, PAGE(n), n < 4 ? frame_of(play[n]) << 12 | 5 : 0, UVMF_INVLPG);
  printf("ERRNOS %lu\n", sizeof rows / sizeof *rows);
  for (u64 i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct row *row = &rows[i];
    memset(arg_page, 0, sizeof arg_page);
    for (u64 w = 0; w < 12; w++) arg_page[w] = resolve(row->words[w]);
    s64 result = make(row->number, row->args);
    WRITE_ONCE(shared_info->vcpu_info[0].evtchn_upcall_mask, 1);
    if (row->shown) printf("%s = %ld, %d\n", row->text, result, *(s16 *)((u8 *)arg_page + row->shown));
    else printf("%s = %ld\n", row->text, result);
  }
  printf("ERRNOS-DONE\n");
}
