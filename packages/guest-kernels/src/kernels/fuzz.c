/*
 * Random hypercalls. Command line: seed=N calls=M. Prints `FUZZ n` every 100 calls and, at its end,
 * `FUZZ-DONE calls=M hash=H` (H over all numbers and results), then powers off.
 *
 * It may take its own memory away or send its own events to nowhere: then Xen ends it, which is a fair result.
 * To get far, it aims at frames and addresses that it can live without, but for one call in 1024; and it makes no call
 * that ends or stops a guest by design.
 */
#include "../lib/guest.h"
#include "../lib/hypercall.h"

#define PLAY_PAGES 32

/* Its mappings and frames are what the calls play with; what Xen writes may run on into one page more. Nothing here is read or written without a handler for faults. */
static u8 play[PLAY_PAGES + 1][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
/* Where arguments lie, always mapped: three lists for each call of a multicall, and its own list. */
static u64 areas[7][3][64] __attribute__((aligned(PAGE_SIZE)));
static u64 multicall_list[6 * 8];
static u64 (*args)[64] = areas[0];
static u8 grant_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
extern char image_start[], image_end[];

static u64 state, own_frames, machine_frames, play_l1, play_first, reckless;
static u64 frame_of(u64 pfn) { return ((const u64 *)start_info->mfn_list)[pfn]; }
static u64 pfn_of(const void *p) { return (ADDRESS(p) - VIRT_BASE) / PAGE_SIZE; }

/* splitmix64 */
static u64 rnd(void) {
  u64 z = state += 0x9e3779b97f4a7c15ul;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ul;
  z = (z ^ z >> 27) * 0x94d049bb133111ebul;
  return z ^ z >> 31;
}
static u64 below(u64 n) { return rnd() % n; }
static int one_in(u64 n) { return below(n) == 0; }

/* ── Faults: the access is skipped ─────────────────────────────────────────────────────────────────────────────── */

struct trap_info {
  u8 vector, flags;
  u16 cs;
  u64 address;
};
void skip_fault(void);
u64 try_write(u64 *at, u64 value);
u64 try_read(const u64 *at, u64 *value);

/* Xen pushes rcx and r11 and an error code below the frame of a processor. try_write and try_read answer 0 when they faulted. */
__asm__(".text\n"
        "skip_fault:\n"
        "  addq $24, %rsp\n"
        "  leaq try_instruction_write(%rip), %rcx\n"
        "  cmpq %rcx, (%rsp)\n"
        "  je 2f\n"
        "  leaq try_instruction_read(%rip), %rcx\n"
        "  cmpq %rcx, (%rsp)\n"
        "  je 2f\n"
        "  ud2\n"
        "2: leaq try_failed(%rip), %rcx\n"
        "  movq %rcx, (%rsp)\n"
        /* For the iret hypercall: rax, r11, rcx, flags. */
        "  pushq $0\n  pushq %rcx\n  pushq %r11\n  pushq %rax\n"
        "  movl $23, %eax\n"
        "  syscall\n"
        "  ud2\n"
        "try_write:\n"
        "try_instruction_write:\n"
        "  movq %rsi, (%rdi)\n"
        "  movl $1, %eax\n"
        "  ret\n"
        "try_read:\n"
        "try_instruction_read:\n"
        "  movq (%rdi), %rax\n"
        "  movq %rax, (%rsi)\n"
        "  movl $1, %eax\n"
        "  ret\n"
        "try_failed:\n"
        "  xorl %eax, %eax\n"
        "  ret\n");

/* Vectors with error codes; other exceptions end the guest. FLAT_KERNEL_CS is of arch-x86/xen-x86_64.h. */
static void repair(void) {
  static const u8 vectors[] = {11, 12, 13, 14, 17};
  static struct trap_info table[sizeof vectors + 1];
  for (u64 i = 0; i < sizeof vectors; i++) table[i] = (struct trap_info){vectors[i], 4, 0xe033, ADDRESS(skip_fault)};
  hypercall1(HC_set_trap_table, ADDRESS(table));
  events_init();
}

/* ── Random values ─────────────────────────────────────────────────────────────────────────────────────────────── */

static u64 number(void) {
  switch (below(8)) {
    case 0: return rnd();
    case 1: return rnd() >> below(64);
    case 2: return -(rnd() >> below(64));
    case 3: return 1ul << below(64);
    case 4: return (1ul << below(64)) - 1;
    default: return below(16);
  }
}

static u64 play_frame(void) {
  /* Pages of the image that only play, and memory that nothing maps. */
  return frame_of(one_in(3) ? play_first + below(PLAY_PAGES) : 1024 + below(start_info->nr_pages - 1024));
}

static u64 frame(void) {
  if (reckless && one_in(2)) return frame_of(below(start_info->nr_pages));
  switch (below(16)) {
    case 0: return rnd();
    case 1: return number();
    case 2: return below(machine_frames + 16); /* Xen's, and other domains' */
    case 3: return below(32);
    case 4: return start_info->shared_info / PAGE_SIZE;
    default: return play_frame();
  }
}

static u64 page_table_frame(void) { return frame_of((start_info->pt_base - VIRT_BASE) / PAGE_SIZE + below(3)); }

static u64 pte(void) {
  static const u64 flags[] = {0, 1, 5, 7, 0x27, 0x67, 0x63, 3, 0x107, 0x87, 0x1f, 2, 0x8000000000000067ul};
  if (one_in(8)) return rnd();
  return frame() << 12 | (one_in(8) ? rnd() & 0xfff : flags[below(sizeof flags / sizeof *flags)]);
}

static u64 play_address(void) { return ADDRESS(play) + below(PLAY_PAGES * PAGE_SIZE) / 8 * 8; }

static u64 wild_address(void) {
  static const u64 places[] = {
      0, 0x1000, 0x7ffffffff000, 0x800000000000, 0x8000000000000000, 0xffff7ffffffff000, 0xffff800000000000,
      0xffff82d080200000, 0xffff82d040000000, 0xffff830000000000, 0xffff87fffffff000, 0xffff880000000000,
      0xfffffffffffff000, VIRT_BASE + (8ul << 20), VIRT_BASE + (1ul << 30),
  };
  u64 place = places[below(sizeof places / sizeof *places)];
  switch (below(4)) {
    case 0: return rnd();
    case 1: return place;
    case 2: return place + below(PAGE_SIZE);
    default: return place - below(64);
  }
}

static u64 address(void) {
  if (reckless && one_in(2)) return ADDRESS(image_start) + below((u64)(image_end - image_start));
  switch (below(8)) {
    case 0: return wild_address();
    case 1: return ADDRESS(image_start) + below(PAGE_SIZE); /* our code: read-only, see kmain */
    case 2: return start_info->pt_base + below(PAGE_SIZE); /* a page table: read-only */
    case 3: return play_address() + below(8);
    default: return play_address();
  }
}

static u64 domid(void) {
  static const u64 ids[] = {0x7ff0, 0x7ff1, 0x7ff2, 0x7ff3, 0x7ff4, 0x7fff, 0, 1, 2, 3};
  return one_in(8) ? rnd() & 0xffff : one_in(2) ? DOMID_SELF : ids[below(sizeof ids / sizeof *ids)];
}

static u64 word(void) {
  switch (below(8)) {
    case 0: return frame();
    case 1: return pte();
    case 2: return address();
    case 3: return domid();
    case 4: return domid() | below(16) << 32;
    case 5: return below(8) | below(64) << 32;
    default: return number();
  }
}

/* Random fields at the place for arguments: structures of any kind. */
static u64 *fields(u64 words) {
  for (u64 i = 0; i < words; i++) args[0][i] = word();
  return args[0];
}

/* A structure to pass by reference, now and then lying where it must not. */
static u64 pointer(u64 *fields) { return one_in(12) ? wild_address() : one_in(12) ? address() : ADDRESS(fields); }

/* ── Calls ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

struct call {
  u64 op, a[6];
};

static struct call plain(u64 op, u64 a, u64 b, u64 c, u64 d) {
  return (struct call){op, {a, b, c, d, word(), word()}};
}

static struct call mmu_update(void) {
  u64 *list = fields(16), n = 1 + below(8);
  for (u64 i = 0; i < n; i++) {
    static const u8 kinds[] = {0, 0, 0, 1, 2, 3};
    u64 table = one_in(2) ? play_l1 : one_in(4) && reckless ? page_table_frame() : frame();
    /* Our own L1 table: only the entries of the pages to play with. */
    u64 slot = table == play_l1 ? (ADDRESS(play) / PAGE_SIZE + below(PLAY_PAGES)) % 512 : below(512);
    list[2 * i] = (table << 12 | slot * 8 | kinds[below(6)]) + (one_in(32) ? below(8) : 0);
    list[2 * i + 1] = one_in(4) ? below(start_info->nr_pages) : pte();
  }
  return plain(HC_mmu_update, pointer(list), one_in(32) ? number() : n, one_in(4) ? pointer(args[1]) : 0,
               one_in(8) ? domid() | domid() << 16 : DOMID_SELF);
}

static struct call mmuext_op(void) {
  struct { u32 cmd; u64 a, b; } *list = (void *)args[0];
  u64 n = 1 + below(4);
  for (u64 i = 0; i < n; i++) {
    list[i].cmd = one_in(16) ? (u32)number() : (u32)below(22);
    list[i].a = one_in(4) ? address() : frame();
    list[i].b = one_in(2) ? number() : frame();
    /* A new root table of random contents maps no kernel. */
    if (list[i].cmd == 5 && !reckless) list[i].a = one_in(2) ? page_table_frame() : machine_frames + below(16);
    /* An LDT of ours, not of anybody's memory. */
    if (list[i].cmd == 13) list[i].a = one_in(4) ? wild_address() : play_address() & -4096ul;
  }
  return plain(HC_mmuext_op, pointer(args[0]), one_in(32) ? number() : n, one_in(4) ? pointer(args[1]) : 0,
               one_in(8) ? domid() : DOMID_SELF);
}

static struct call memory_op(void) {
  static const u8 commands[] = {0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 12, 14, 15, 16, 17, 20, 25, 26, 27, 28};
  u64 command = one_in(8) ? number() : commands[below(sizeof commands)];
  u64 n = 1 + below(8), *r = fields(16);
  for (u64 i = 0; i < 8; i++) args[1][i] = frame(), args[2][i] = one_in(2) ? frame() : 1024 + below(1024);
  u64 order = one_in(4) ? below(12) : 0;
  r[0] = pointer(args[1]), r[1] = one_in(32) ? number() : n, r[2] = order | (one_in(8) ? rnd() << 32 : 0);
  r[3] = domid();
  if (one_in(8)) r[1] = rnd() & 0xff;
  if (command == 11) { /* exchange: in, out, nr_exchanged */
    r[4] = pointer(args[2]), r[5] = n, r[6] = one_in(4) ? below(12) : 0, r[7] = domid(), r[8] = one_in(8) ? number() : 0;
  }
  if (one_in(4)) r[0] = domid();
  return plain(HC_memory_op, command, pointer(r), word(), word());
}

static struct call grant_table_op(void) {
  u64 command = one_in(16) ? number() : below(13);
  u32 *w = (u32 *)fields(64);
  u64 n = 1 + below(3);
  switch (command) {
    case 0: /* map: host_addr, flags, ref, dom */
      for (u64 i = 0; i < n; i++, w += 8) {
        *(u64 *)w = one_in(4) ? play_l1 << 12 | (ADDRESS(play) / PAGE_SIZE + below(PLAY_PAGES)) % 512 * 8 : play_address() & -4096ul;
        w[2] = (u32)(one_in(8) ? number() : 1 + below(31)), w[3] = (u32)below(40), w[4] = (u32)domid();
      }
      break;
    case 1: /* unmap: host_addr, dev_bus_addr, handle */
      for (u64 i = 0; i < n; i++, w += 6) *(u64 *)w = play_address() & -4096ul, w[2] = w[3] = 0, w[4] = (u32)below(8);
      break;
    case 2: /* set up: dom, frames, status, list */
      w[0] = (u32)domid(), w[1] = (u32)below(6), *(u64 *)(w + 4) = pointer(args[1]);
      n = 1;
      break;
    case 5: /* copy: source, destination, length, flags */
      for (u64 i = 0; i < n; i++, w += 10) {
        *(u64 *)w = one_in(2) ? frame() : below(40), w[2] = (u32)(domid() | below(4200) << 16);
        *(u64 *)(w + 4) = one_in(2) ? frame() : below(40), w[6] = (u32)(domid() | below(4200) << 16);
        w[8] = (u32)(below(4200) | below(5) << 16);
      }
      break;
  }
  return plain(HC_grant_table_op, command, pointer(args[0]), one_in(32) ? number() : n, word());
}

static struct call event_channel_op(void) {
  u32 *w = (u32 *)fields(8);
  w[0] = (u32)(one_in(4) ? number() : domid() | below(4) << 16);
  if (one_in(2)) w[0] = (u32)below(32);
  w[1] = (u32)below(32), w[2] = (u32)below(32);
  return plain(HC_event_channel_op, one_in(16) ? number() : below(15), pointer(args[0]), word(), word());
}

static struct call sched_op(u64 op) {
  u64 command = one_in(4) ? number() : 3 + below(5);
  u64 *w = fields(4);
  u32 c = (u32)command;
  w[0] = 1 + below(40);
  /* Not: yield, block (nothing may wake us), shutdown, and what ends the guest after a time. */
  if (c <= 2) command = 4;
  if (c == 6) w[0] = one_in(2) ? 1 + below(3) : below(4) | 0xfffffffful << 32;
  if (c == 3) { /* poll: ports, count, until */
    for (u64 i = 0; i < 4; i++) ((u32 *)args[1])[i] = (u32)below(64);
    w[0] = pointer(args[1]), w[1] = one_in(8) ? number() : below(4), w[2] = time_system() + below(1000000);
  }
  if ((u32)op != HC_sched_op && (c == 3 || c == 6)) command = 7;
  return plain(op, command, c == 3 || c == 6 ? ADDRESS(w) : pointer(w), word(), word());
}

static struct call vcpu_op(void) {
  static const u8 commands[] = {0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
  u64 command = one_in(8) ? number() : commands[below(sizeof commands)];
  u64 *w = fields(16);
  /* Not: VCPUOP_up, which would run random instructions, and VCPUOP_down, which would stop us. */
  if ((u32)command - 1 <= 1) command = 0;
  /* Our handler of events knows one place of vcpu_info only. */
  if ((u32)command == 10 && !reckless) return plain(HC_vcpu_op, command, 1, pointer(w), word());
  /* Areas that Xen writes to from now on. */
  if (one_in(2)) w[0] = one_in(2) ? play_address() : frame(), w[1] = below(4096);
  return plain(HC_vcpu_op, command, below(4) ? below(2) : number(), pointer(w), word());
}

static struct call random_call(void) {
  switch (below(24)) {
    case 0: return plain(HC_set_trap_table, pointer(fields(64)), word(), word(), word());
    case 1: case 2: case 3: return mmu_update();
    case 4: {
      for (u64 i = 0; i < 16; i++) args[0][i] = frame();
      return plain(HC_set_gdt, pointer(args[0]), one_in(4) ? number() : below(1024), word(), word());
    }
    case 5: return plain(HC_stack_switch, number(), word(), word(), word());
    case 6: return plain(HC_set_callbacks, word(), word(), word(), word());
    case 7: return plain(5 + below(6), word(), word(), word(), word()); /* fpu_taskswitch … update_descriptor */
    case 8: return plain(10, frame() << 12 | below(512) * 8, rnd(), word(), word());
    case 9: case 10: case 11: return memory_op();
    case 12: case 13: {
      u64 va = one_in(8) ? wild_address() : play_address();
      u64 flags = one_in(4) ? address() : below(4);
      return plain(one_in(8) ? 22 : HC_update_va_mapping, va, pte(), flags, domid());
    }
    case 14: case 15: return mmuext_op();
    case 16: return grant_table_op();
    case 17: case 18: return event_channel_op();
    case 19: return sched_op(one_in(8) ? 6 : HC_sched_op);
    case 20: return vcpu_op();
    case 21: {
      static const u8 calls[] = {2, 14, 15, 17, 18, 19, 21, 25, 28, 30, 31, 33, 34, 35, 36};
      return plain(calls[below(sizeof calls)], below(16), pointer(fields(64)), word(), word());
    }
    case 22: return plain(HC_grant_table_op, below(13), pointer(fields(64)), below(5), word());
    default: {
      u64 op = one_in(8) ? number() : below(60);
      if ((u32)op == HC_sched_op) return sched_op(op);
      return plain(op, word(), pointer(fields(64)), word(), word());
    }
  }
}

/* The dispatcher takes the low 32 bits. These would end us, or go where a random frame says. */
static int forbidden(const struct call *c) {
  u32 op = (u32)c->op, command = (u32)c->a[0];
  if (op == HC_iret) return !reckless;
  if (op == HC_sched_op || op == 6) return command <= 2;
  if (op == HC_vcpu_op) return command - 1 <= 1 || (command == 10 && (u32)c->a[1] == 0 && !reckless);
  return 0;
}

static struct call permitted_call(void) {
  struct call c;
  do c = random_call();
  while (forbidden(&c));
  return c;
}

static struct call multicall(void) {
  struct { u64 op, result, a[6]; } *list = (void *)multicall_list;
  u64 n = 1 + below(6);
  for (u64 i = 0; i < n; i++) {
    struct call c;
    args = areas[1 + i];
    do c = permitted_call(); /* a poll may not wait for a time that has passed by then: that is fine */
    while ((u32)c.op == HC_sched_op);
    list[i].op = c.op;
    memcpy(list[i].a, c.a, sizeof c.a);
  }
  args = areas[0];
  /* Results are written to any list, so a wrong one must not lie among our variables. */
  if (one_in(8)) return plain(HC_multicall, one_in(2) ? play_address() : wild_address(), below(64), word(), word());
  return plain(HC_multicall, ADDRESS(list), n, word(), word());
}

static s64 make(const struct call *c) {
  u64 result = c->op;
  register u64 r10 __asm__("r10") = c->a[3];
  register u64 r8 __asm__("r8") = c->a[4];
  register u64 r9 __asm__("r9") = c->a[5];
  u64 a = c->a[0], b = c->a[1], d = c->a[2];
  __asm__ volatile("syscall"
                   : "+a"(result), "+D"(a), "+S"(b), "+d"(d), "+r"(r10), "+r"(r8), "+r"(r9)
                   :
                   : "rcx", "r11", "memory");
  return (s64)result;
}

/* What guests do without hypercalls: memory, grant entries, page tables that are written directly. */
static void disturb(void) {
  u64 value;
  switch (below(4)) {
    case 0:
      for (u64 i = below(64); i; i--) try_write((u64 *)play_address(), word());
      break;
    case 1:
      try_read((const u64 *)address(), &value);
      break;
    case 2: { /* version 1: flags, domid, frame */
      u64 entry = below(4) | below(64) << 3 | (one_in(2) ? DOMID_SELF : domid()) << 16 | frame() << 32;
      try_write((u64 *)grant_page + 2 + below(38), entry);
      break;
    }
    default:
      try_write((u64 *)(start_info->pt_base + below(start_info->nr_pt_frames * PAGE_SIZE) / 8 * 8), pte());
  }
}

static void find_play_tables(void) {
  play_first = pfn_of(play);
  const u64 *table = (const u64 *)start_info->pt_base;
  for (u64 shift = 39; shift > 12; shift -= 9) {
    play_l1 = table[ADDRESS(play) >> shift & 511] >> 12 & 0xfffffffffful;
    table = mfn_to_virt(play_l1);
  }
}

static void map_grants(void) {
  struct { u16 dom; u32 frames; u16 status; u64 *list; } op = {DOMID_SELF, 1, 0, &own_frames};
  hypercall3(HC_grant_table_op, 2, ADDRESS(&op), 1);
  if (op.status == 0) hypercall3(HC_update_va_mapping, ADDRESS(grant_page), own_frames << 12 | 7, UVMF_INVLPG);
}

static u64 option(const char *name, u64 otherwise) {
  u64 n = strlen(name);
  for (const char *s = start_info->cmd_line; *s; s++) {
    if (strncmp(s, name, n) != 0) continue;
    u64 value = 0;
    for (s += n; *s >= '0' && *s <= '9'; s++) value = value * 10 + (u64)(*s - '0');
    return value;
  }
  return otherwise;
}

/* The console's event channel may be closed: looks at the ring from time to time, for a second at most. */
static void finish(void) {
  struct console_ring *ring = mfn_to_virt(start_info->console_mfn);
  for (u64 i = 0; i < 1000 && READ_ONCE(ring->out_cons) != ring->out_prod; i++) {
    struct sched_poll wait = {0, 0, time_system() + 1000000};
    event_send(start_info->console_evtchn);
    hypercall2(HC_sched_op, SCHEDOP_poll, ADDRESS(&wait));
  }
  struct sched_shutdown op = {SHUTDOWN_poweroff};
  for (;;) hypercall2(HC_sched_op, SCHEDOP_shutdown, ADDRESS(&op));
}

void kmain(void) {
  u64 seed = option("seed=", 1), calls = option("calls=", 1000), hash = 0xcbf29ce484222325ul;
  state = seed * 0xd1342543de82ef95ul;
  machine_frames = (u64)hypercall2(HC_memory_op, XENMEM_maximum_ram_page, 0) + 1;
  printf("FUZZ seed=%lu calls=%lu\n", seed, calls);
  find_play_tables();
  map_grants();
  hypercall3(HC_update_va_mapping, ADDRESS(image_start), frame_of(pfn_of(image_start)) << 12 | 5, UVMF_INVLPG);
  repair();
  for (u64 i = 1; i <= calls; i++) {
    reckless = one_in(1024);
    struct call c = one_in(16) ? multicall() : permitted_call();
    hash = (hash ^ c.op) * 0x100000001b3ul;
    hash = (hash ^ (u64)make(&c)) * 0x100000001b3ul;
    /* Handlers that point to nowhere may stay for a while. */
    if (i % 4 == 0 || (u32)c.op == HC_set_trap_table || (u32)c.op == HC_multicall) repair();
    if (one_in(4)) disturb();
    if (one_in(64)) WRITE_ONCE(shared_info->vcpu_info[0].evtchn_upcall_mask, 0);
    if (i % 100 == 0) printf("FUZZ %lu\n", i);
  }
  printf("FUZZ-DONE calls=%lu hash=%016lx\n", calls, hash);
  finish();
}
