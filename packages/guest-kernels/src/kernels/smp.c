/*
 * Several vCPUs: brings all of them up, lets them count under a lock, sends interrupts and NMIs between them, takes one
 * down and up again, and shows that a change of the page tables reaches all of them once a flush was asked for. The last
 * line is "smp: ok" or "smp: N failures". With `crash` on the command line the last vCPU runs into an undefined
 * instruction instead.
 */
#include "../lib/smp/smp.h"
#include "../lib/hypercall.h"

enum { VCPUOP_up = 1, VCPUOP_down = 2, VCPUOP_is_up = 3, VCPUOP_send_nmi = 11 };
enum { ROUNDS = 1000, TRIPS = 100 };

static u32 cpus, failures;

static void check(int right, const char *what) {
  if (right) return;
  failures++;
  printf("FAILED: %s\n", what);
}

/* ── Work for all: vCPU 0 posts it, everybody does it, vCPU 0 waits for the last one ──────────────────────────────── */

static void (*work)(u32 cpu);
static u32 posted, done;

static void everybody(void (*what)(u32 cpu)) {
  work = what;
  __atomic_store_n(&done, 0, __ATOMIC_SEQ_CST);
  __atomic_add_fetch(&posted, 1, __ATOMIC_SEQ_CST);
  what(0);
  while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) != cpus - 1) cpu_relax();
}

/* What every vCPU but the first does. */
static void other_cpu(void) {
  u32 cpu = cpu_id();
  for (u32 seen = 0;;) {
    u32 now = __atomic_load_n(&posted, __ATOMIC_ACQUIRE);
    if (now == seen) {
      cpu_relax();
      continue;
    }
    seen = now;
    work(cpu);
    __atomic_add_fetch(&done, 1, __ATOMIC_RELEASE);
  }
}

/* ── Counting: without the lock, two that read the same number would write the same one ──────────────────────────── */

static struct ticket_lock counter_lock;
static volatile u32 counter, counted[MAX_CPUS];

static void count(u32 cpu) {
  for (u32 i = 0; i < ROUNDS; i++) {
    lock(&counter_lock);
    u32 now = counter;
    /* A slice that ends here shows whether the lock holds. */
    if (i % 16 == 0) hypercall2(HC_sched_op, SCHEDOP_yield, 0);
    counter = now + 1;
    unlock(&counter_lock);
    counted[cpu]++;
  }
}

/* ── Interrupts: vCPU 0 calls, each other one answers from its handler ────────────────────────────────────────────── */

static u32 call_port[MAX_CPUS], answer_port[MAX_CPUS];
static volatile u32 calls[MAX_CPUS], answers[MAX_CPUS], astray;

static void on_event(u32 port) {
  u32 cpu = cpu_id();
  if (cpu != 0) {
    if (port != call_port[cpu]) astray++;
    calls[cpu]++;
    event_send(answer_port[cpu]);
    return;
  }
  for (u32 i = 1; i < cpus; i++)
    if (port == answer_port[i]) answers[i]++;
}

static void answer_calls(u32 cpu) {
  if (cpu == 0) return;
  while (calls[cpu] < TRIPS) cpu_wait();
}

static void call(u32 cpu) {
  for (u32 i = 0; i < TRIPS; i++) {
    event_send(call_port[cpu]);
    while (answers[cpu] <= i) cpu_wait();
  }
}

/* The calls go out while the others wait for them. */
static void interrupts(u32 cpu) {
  if (cpu != 0) answer_calls(cpu);
  else
    for (u32 other = 1; other < cpus; other++) call(other);
}

/* ── Waiting as Linux waits for a lock: SCHEDOP_poll with events masked, and a kick ───────────────────────────────── */

static volatile u32 turn;

static void poll_for(u32 port) {
  struct sched_poll op = {&port, 1, 0};
  hypercall2(HC_sched_op, SCHEDOP_poll, ADDRESS(&op));
  /* The event itself is not wanted. */
  __atomic_and_fetch(&shared_info->evtchn_pending[port / 64], ~(1ul << port % 64), __ATOMIC_SEQ_CST);
}

/* The turn goes round from vCPU to vCPU; each sleeps until it is kicked by the one before it. */
static void take_turns(u32 cpu) {
  for (u32 round = 0; round < TRIPS; round++) {
    while (turn != round * cpus + cpu) poll_for(call_port[cpu]);
    turn++;
    event_send(call_port[(cpu + 1) % cpus]);
  }
}

/* ── NMIs reach a vCPU that lets no event in ──────────────────────────────────────────────────────────────────────── */

static volatile u32 nmis[MAX_CPUS];
static void on_nmi(void) { nmis[cpu_id()]++; }

static void send_nmis(u32 cpu) {
  u32 next = (cpu + 1) % cpus;
  hypercall3(HC_vcpu_op, VCPUOP_send_nmi, next, 0);
  while (nmis[cpu] == 0) cpu_relax();
}

/* ── Down and up ──────────────────────────────────────────────────────────────────────────────────────────────────── */

static volatile u32 awake_again;

static void last_goes_down(u32 cpu) {
  if (cpu != cpus - 1) return;
  hypercall3(HC_vcpu_op, VCPUOP_down, cpu, 0);
  awake_again = 1;
}

static void down_and_up(void) {
  u32 last = cpus - 1;
  work = last_goes_down;
  __atomic_store_n(&done, 0, __ATOMIC_SEQ_CST);
  __atomic_add_fetch(&posted, 1, __ATOMIC_SEQ_CST);
  while (hypercall3(HC_vcpu_op, VCPUOP_is_up, last, 0)) cpu_relax();
  for (u32 i = 0; i < TRIPS; i++) hypercall2(HC_sched_op, SCHEDOP_yield, 0);
  check(!awake_again, "a vCPU that is down ran");
  hypercall3(HC_vcpu_op, VCPUOP_up, last, 0);
  while (!awake_again) cpu_relax();
  while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) != cpus - 1) cpu_relax();
  printf("vCPU %u went down and came up again\n", last);
}

/* ── Page tables: a window onto two pages, which every vCPU has looked through ────────────────────────────────────── */

static volatile u64 window[PAGE_SIZE / 8] __attribute__((aligned(PAGE_SIZE)));
static u64 views[2][PAGE_SIZE / 8] __attribute__((aligned(PAGE_SIZE)));
/* The vCPU that acts, and what it got. */
static u32 actor;
static volatile u64 seen;
static volatile s32 write_result;
static u64 all_cpus = ~0ul;
enum { PTE_read_only = 5, PTE_writable = 7 };

static void look(u32 cpu) {
  if (cpu == actor) seen = window[0];
}
static void write(u32 cpu) {
  if (cpu == actor) write_result = probe_write(&window[1], cpu);
}

static s64 map_window(u64 pte, u64 flags) { return hypercall3(HC_update_va_mapping, ADDRESS(window), pte, flags); }

/* mmuext_op, and the flags of update_va_mapping (xen.h) */
enum { TLB_FLUSH_MULTI = 8, INVLPG_MULTI = 9, TLB_FLUSH_ALL = 10, INVLPG_ALL = 11 };
enum { UVMF_TLB_FLUSH = 1, UVMF_ALL = 4 };
struct mmuext_op { u32 cmd; u64 arg1, arg2; };

static void flush(u32 cmd) {
  int one = cmd == INVLPG_MULTI || cmd == INVLPG_ALL, multi = cmd == TLB_FLUSH_MULTI || cmd == INVLPG_MULTI;
  struct mmuext_op op = {cmd, one ? ADDRESS(window) : 0, multi ? ADDRESS(&all_cpus) : 0};
  check(hypercall4(HC_mmuext_op, ADDRESS(&op), 1, 0, DOMID_SELF) == 0, "mmuext_op");
}

/* Each way to ask for a flush: by flags of the update, or by an operation after it. */
static const struct way { const char *name; u64 flags; int bitmap; u32 cmd; } ways[] = {
    {"UVMF_TLB_FLUSH of all", UVMF_TLB_FLUSH | UVMF_ALL, 0, 0}, {"UVMF_INVLPG of all", UVMF_INVLPG | UVMF_ALL, 0, 0},
    {"UVMF_TLB_FLUSH by bitmap", UVMF_TLB_FLUSH, 1, 0},         {"UVMF_INVLPG by bitmap", UVMF_INVLPG, 1, 0},
    {"TLB_FLUSH_ALL", 0, 0, TLB_FLUSH_ALL},                     {"INVLPG_ALL", 0, 0, INVLPG_ALL},
    {"TLB_FLUSH_MULTI", 0, 0, TLB_FLUSH_MULTI},                 {"INVLPG_MULTI", 0, 0, INVLPG_MULTI},
};

static void change_window(const struct way *way, u64 pte) {
  check(map_window(pte, way->flags | (way->bitmap ? ADDRESS(&all_cpus) : 0)) == 0, "update_va_mapping");
  if (way->cmd) flush(way->cmd);
}

static void page_tables(void) {
  views[0][0] = 1000, views[1][0] = 1001;
  map_window(frame_of(views[0]) << 12 | PTE_writable, UVMF_TLB_FLUSH | UVMF_ALL);
  u32 current = 0;
  for (u32 i = 0; i < sizeof ways / sizeof *ways; i++) {
    const struct way *way = &ways[i];
    u32 stale = 0, wrote = 0;
    for (actor = 0; actor < cpus; actor++) {
      everybody(look);
      current ^= 1;
      change_window(way, frame_of(views[current]) << 12 | PTE_writable);
      everybody(look);
      stale += seen != 1000 + current;
      everybody(write);
      change_window(way, frame_of(views[current]) << 12 | PTE_read_only);
      everybody(write);
      wrote += write_result == 0;
      change_window(way, frame_of(views[current]) << 12 | PTE_writable);
    }
    if (!stale && !wrote) continue;
    failures++;
    printf("FAILED: %s: %u vCPUs read the old page, %u wrote to a read-only page\n", way->name, stale, wrote);
  }
  printf("page tables: %u ways to flush\n", (u32)(sizeof ways / sizeof *ways));
}

static void crash_last(u32 cpu) {
  if (cpu == cpus - 1) __builtin_trap();
  for (;;) cpu_relax();
}

void kmain(void) {
  cpus = smp_init();
  event_handler = on_event;
  nmi_handler = on_nmi;
  for (u32 cpu = 0; cpu < cpus; cpu++) call_port[cpu] = ipi_bind(cpu), answer_port[cpu] = ipi_bind(0);
  for (u32 cpu = 1; cpu < cpus; cpu++) check(cpu_start(cpu, other_cpu) == 0, "cpu_start");
  printf("%u vCPUs\n", cpus);
  if (strcmp(start_info->cmd_line, "crash") == 0) everybody(crash_last);

  everybody(count);
  u32 sum = 0;
  for (u32 cpu = 0; cpu < cpus; cpu++) sum += counted[cpu];
  printf("counted: %u of %u\n", counter, sum);
  check(counter == sum && sum == cpus * ROUNDS, "counting");

  everybody(interrupts);
  u32 trips = 0;
  for (u32 cpu = 1; cpu < cpus; cpu++) trips += answers[cpu];
  printf("interrupts: %u round trips\n", trips);
  check(trips == (cpus - 1) * TRIPS && astray == 0, "interrupts");

  everybody(take_turns);
  printf("turns taken: %u\n", turn);

  everybody(send_nmis);
  for (u32 cpu = 0; cpu < cpus; cpu++) check(nmis[cpu] == 1, "one NMI each");
  printf("NMIs: %u\n", cpus);

  if (cpus > 1) down_and_up();
  page_tables();
  if (failures) printf("smp: %u failures\n", failures);
  else printf("smp: ok\n");
}
