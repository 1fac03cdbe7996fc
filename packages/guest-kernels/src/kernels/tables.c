/*
 * All vCPUs change the same page tables at once, at random: `seed=N rounds=M` on the command line. Twelve frames are
 * mapped through windows, written through them, pinned as tables, hooked into the address space and taken out again,
 * with and without flushes, while the other vCPUs do the same and still have old translations. Whatever Xen answers is
 * right; what counts is that Xen's accounts hold, which the host checks. Prints `tables: N of M` operations that were
 * done, and `tables: canary gone` if a page changed that nobody may write to.
 */
#include "../lib/smp/smp.h"
#include "../lib/hypercall.h"

enum { FRAMES = 12, WINDOWS = 12 };
enum { MMUEXT_PIN_L1_TABLE = 0, MMUEXT_UNPIN_TABLE = 4, TLB_FLUSH_LOCAL = 6, TLB_FLUSH_ALL = 10, INVLPG_ALL = 11 };
enum { UVMF_TLB_FLUSH = 1, UVMF_ALL = 4 };
struct mmu_update { u64 ptr, val; };
struct mmuext_op { u32 cmd; u64 arg1, arg2; };

/* The frames to play with have no mapping of their own; windows are addresses whose own frames rest. */
static u8 arena[FRAMES][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static volatile u64 windows[WINDOWS][PAGE_SIZE / 8] __attribute__((aligned(PAGE_SIZE)));
static u64 canary[PAGE_SIZE / 8] __attribute__((aligned(PAGE_SIZE)));
static u64 frames[FRAMES];
/* Machine addresses of the first window's entry, and of the L2 entry of two MiB where nothing is. */
static u64 window_entry, hook_entry;
#define HOOK (VIRT_BASE + (100ul << 21))

static u64 rounds;
static u64 state[MAX_CPUS];
static u32 cpus, finished, done;

/* splitmix64, for each vCPU its own */
static u64 rnd(void) {
  u64 z = state[cpu_id()] += 0x9e3779b97f4a7c15ul;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ul;
  z = (z ^ z >> 27) * 0x94d049bb133111ebul;
  return z ^ z >> 31;
}
static u64 below(u64 n) { return rnd() % n; }

/* ── Where the entries are ────────────────────────────────────────────────────────────────────────────────────────── */

#define ADDRESS_MASK 0x000ffffffffff000ul

/* The machine address of the entry of this level (1 or 2) for an address. The builder mapped the tables, read-only. */
static u64 entry_of(u64 address, u32 level) {
  u64 table = frame_of((void *)start_info->pt_base) << 12;
  for (u32 at = 4;; at--) {
    u64 slot = table + (address >> (3 + 9 * at) & 511) * 8;
    if (at == level) return slot;
    table = *(const u64 *)((u64)mfn_to_virt(slot >> 12) + (slot & 0xfff)) & ADDRESS_MASK;
  }
}

/* ── Operations; each answers 0 if it was done ────────────────────────────────────────────────────────────────────── */

static u64 random_frame(void) { return frames[below(FRAMES)]; }

/* Not too many writable ones: then no frame could become a table. */
static u64 random_pte(void) {
  static const u64 bits[] = {7, 0x67, 5, 0, 0, 0, 0, 6};
  return random_frame() << 12 | bits[below(8)];
}

/* An entry that is valid in any table: a write of it that reaches a table past Xen makes Xen's counts wrong. */
static u64 harmless_pte(void) { return below(4) ? random_frame() << 12 | 5 : 0; }

static s64 update(u64 ptr, u64 val) {
  struct mmu_update op = {ptr, val};
  return hypercall4(HC_mmu_update, ADDRESS(&op), 1, 0, DOMID_SELF);
}

static s64 extended(u32 cmd, u64 arg) {
  struct mmuext_op op = {cmd, arg, 0};
  return hypercall4(HC_mmuext_op, ADDRESS(&op), 1, 0, DOMID_SELF);
}

static s64 map_window(void) {
  static const u64 flags[] = {UVMF_INVLPG, UVMF_INVLPG | UVMF_ALL, UVMF_TLB_FLUSH | UVMF_ALL};
  u64 window = below(WINDOWS);
  if (below(4) == 0) return update(window_entry + window * 8, random_pte());
  return hypercall3(HC_update_va_mapping, ADDRESS(windows[window]), random_pte(), below(8) ? 0 : flags[below(3)]);
}

static volatile u64 *random_place(void) {
  if (below(4) == 0) return (volatile u64 *)(HOOK + below(8) * PAGE_SIZE) + below(8);
  return &windows[below(WINDOWS)][below(8)];
}

static s64 write_memory(void) { return probe_write(random_place(), harmless_pte()); }
static s64 read_memory(void) {
  u64 value;
  return probe_read(random_place(), &value);
}

static s64 pin(void) { return extended(MMUEXT_PIN_L1_TABLE, random_frame()); }
static s64 unpin(void) { return extended(MMUEXT_UNPIN_TABLE, random_frame()); }
static s64 write_table(void) { return update(random_frame() << 12 | below(8) * 8, random_pte()); }

/* Seldom, as most of these forget all that the vCPUs have cached. */
static s64 disturb(void) {
  static const u32 kinds[] = {TLB_FLUSH_LOCAL, TLB_FLUSH_ALL, INVLPG_ALL};
  if (below(8)) return -1;
  if (below(2)) return update(hook_entry, below(3) ? random_frame() << 12 | 7 : 0);
  return extended(kinds[below(3)], ADDRESS(windows[below(WINDOWS)]));
}

static s64 (*const operations[])(void) = {
    map_window, map_window, map_window, map_window, write_memory, write_memory, write_memory, write_memory,
    write_memory, write_memory, read_memory, pin, pin, unpin, write_table, disturb,
};

static void play(void) {
  for (u64 i = 0; i < rounds; i++) {
    s64 result = operations[below(sizeof operations / sizeof *operations)]();
    if (result == 0) __atomic_add_fetch(&done, 1, __ATOMIC_RELAXED);
  }
  __atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
}

static void other_cpu(void) {
  play();
  for (;;) cpu_wait();
}

static u64 setting(const char *name, u64 otherwise) {
  const char *line = start_info->cmd_line;
  for (u64 n = strlen(name); *line; line++) {
    if (strncmp(line, name, n) != 0 || line[n] != '=') continue;
    u64 value = 0;
    for (line += n + 1; *line >= '0' && *line <= '9'; line++) value = value * 10 + (u64)(*line - '0');
    return value;
  }
  return otherwise;
}

void kmain(void) {
  u64 seed = setting("seed", 1);
  rounds = setting("rounds", 1000);
  cpus = smp_init();
  for (u32 i = 0; i < PAGE_SIZE / 8; i++) canary[i] = i * 0x0101010101010101ul;
  for (u32 i = 0; i < FRAMES; i++) {
    frames[i] = frame_of(arena[i]);
    hypercall3(HC_update_va_mapping, ADDRESS(arena[i]), 0, UVMF_INVLPG);
  }
  for (u32 i = 0; i < WINDOWS; i++) hypercall3(HC_update_va_mapping, ADDRESS(windows[i]), 0, UVMF_INVLPG);
  window_entry = entry_of(ADDRESS(windows), 1);
  hook_entry = entry_of(HOOK, 2);
  for (u32 cpu = 0; cpu < cpus; cpu++) state[cpu] = seed * MAX_CPUS + cpu;
  for (u32 cpu = 1; cpu < cpus; cpu++) cpu_start(cpu, other_cpu);
  play();
  while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) != cpus) cpu_relax();
  for (u32 i = 0; i < PAGE_SIZE / 8; i++)
    if (canary[i] != i * 0x0101010101010101ul) printf("tables: canary gone\n");
  printf("tables: %u of %lu\n", done, cpus * rounds);
}
