/*
 * Runs programs that a fuzzer wrote: each vCPU interprets one, from the ramdisk. Whatever an operation does to its vCPU
 * (an exception, a wild stack, a way into user mode), the interpreter goes on with the next one.
 *
 * Ramdisk: four u32, the offsets of the programs of vCPUs 0 to 3 (0: none), then the programs. A program is a list of
 * operations: u8 what, u8 number of operands, operands of u8 kind and u64 value. tooling/fuzz writes them.
 */
#include "../lib/guest.h"
#include "../lib/hypercall.h"

#define CPUS 4
#define ARENA_PAGES 64
#define STACK_SIZE 16384

enum { OP_END, OP_CALL, OP_STORE, OP_LOAD, OP_RUN, OP_START, OP_REPAIR };
enum { NUMBER, ADDRESS_OF, MACHINE, FRAME, SLOT, RESULT, WORD32, WORD64, DOMID, TIME };
enum { ARENA, MEMORY, IMAGE, TABLES, SHARED_INFO, START_INFO, CONSOLE, STORE, GRANTS, STACK, P2M, NO_PLACE };

/* trap_ctxt and the like: arch-x86/xen.h. */
struct trap_info {
  u8 vector, flags;
  u16 cs;
  u64 address;
};
struct context {
  u8 fpu[512];
  u64 flags;
  u64 regs[25]; /* r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi error rip cs rflags rsp ss es ds fs gs */
  struct trap_info traps[256];
  u64 ldt_base, ldt_entries, gdt_frames[16], gdt_entries, kernel_ss, kernel_sp, ctrlreg[8], debugreg[8];
  u64 event, failsafe, syscall, vm_assist, fs_base, gs_kernel, gs_user;
};
_Static_assert(sizeof(struct context) == 5168, "vcpu_guest_context");

/* The assembly below knows the size and the first two fields. */
struct cpu {
  u64 stack_pointer; /* where `enter` left off, to go on from */
  u64 back;          /* where code that `enter` runs returns to */
  const u8 *next;
  u64 id, upcalls;
  u64 result; /* of the last operation */
  u64 pad[26];
};
_Static_assert(sizeof(struct cpu) == 256, "struct cpu");

struct cpu cpus[CPUS];
/* Operations that each vCPU has begun: the host reads them. Its frame is printed at the start. */
static volatile u64 begun[CPUS] __attribute__((aligned(PAGE_SIZE)));
static u8 stacks[CPUS][STACK_SIZE] __attribute__((aligned(PAGE_SIZE)));
/* Where Xen saves registers when a trap comes from user mode. */
static u8 trap_stacks[CPUS][1024] __attribute__((aligned(PAGE_SIZE)));
/* What programs play with. One page more: what Xen writes may run on into it. */
static u8 arena[ARENA_PAGES + 1][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u8 grant_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static struct trap_info trap_tables[CPUS][33];
static u64 domids[4], grant_frame, places[NO_PLACE], arena_slots[ARENA_PAGES];
extern u8 image_start[];

static u64 frame_of(u64 pfn) { return ((const u64 *)start_info->mfn_list)[pfn]; }

/* ── Running anything ──────────────────────────────────────────────────────────────────────────────────────────── */

/* Runs code with these registers (rax rcx rdx rbx rsp rbp rsi rdi r8 … r15; rsp 0: ours), until it returns or traps. */
u64 enter(u64 code, const u64 *registers, struct cpu *cpu);
extern u8 code_syscall[], code_load[], code_store1[], code_store2[], code_store4[], code_store8[];
#define ENTRIES(name) extern u8 name##_0[], name##_1[], name##_2[], name##_3[]; \
  static const u64 name##s[] = {ADDRESS(name##_0), ADDRESS(name##_1), ADDRESS(name##_2), ADDRESS(name##_3)}
ENTRIES(trap);
ENTRIES(back);
ENTRIES(upcall);
ENTRIES(start);

__asm__(".text\n"
        "enter:\n"
        "  pushq %rbx\n  pushq %rbp\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdx)\n"
        "  movq 32(%rsi), %rax\n"
        "  testq %rax, %rax\n"
        "  cmovneq %rax, %rsp\n"
        "  pushq 8(%rdx)\n"
        "  pushq %rdi\n"
        "  movq (%rsi), %rax\n  movq 8(%rsi), %rcx\n  movq 16(%rsi), %rdx\n  movq 24(%rsi), %rbx\n"
        "  movq 40(%rsi), %rbp\n  movq 56(%rsi), %rdi\n  movq 64(%rsi), %r8\n  movq 72(%rsi), %r9\n"
        "  movq 80(%rsi), %r10\n  movq 88(%rsi), %r11\n  movq 96(%rsi), %r12\n  movq 104(%rsi), %r13\n"
        "  movq 112(%rsi), %r14\n  movq 120(%rsi), %r15\n  movq 48(%rsi), %rsi\n"
        "  ret\n"
        "leave:\n"
        "  pushq $0x202\n  popfq\n  cld\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbp\n  popq %rbx\n"
        "  ret\n"
        "code_syscall: syscall\n  ret\n"
        "code_load: movq (%rdi), %rax\n  ret\n"
        "code_store1: movb %sil, (%rdi)\n  ret\n"
        "code_store2: movw %si, (%rdi)\n  ret\n"
        "code_store4: movl %esi, (%rdi)\n  ret\n"
        "code_store8: movq %rsi, (%rdi)\n  ret\n"

        ".macro entries k\n"
        /* Exceptions, the failsafe callback, SYSCALL in user mode: the operation is over, with a result to tell by. */
        "trap_\\k: movq cpus+256*\\k(%rip), %rsp\n"
        "  movl $0xbad, %eax\n"
        "  jmp leave\n"
        "back_\\k: movq cpus+256*\\k(%rip), %rsp\n"
        "  jmp leave\n"
        "upcall_\\k:\n"
        "  popq %rcx\n  popq %r11\n"
        "  pushq %rax\n  pushq %rcx\n  pushq %rdx\n  pushq %rsi\n  pushq %rdi\n  pushq %r8\n  pushq %r9\n"
        "  pushq %r10\n  pushq %r11\n  pushq %rbp\n"
        "  movq %rsp, %rbp\n"
        "  movl $\\k, %edi\n  leaq 96(%rsp), %rsi\n"
        "  andq $-16, %rsp\n  cld\n"
        "  call acknowledge\n"
        "  movq %rbp, %rsp\n"
        "  popq %rbp\n  popq %r11\n  popq %r10\n  popq %r9\n  popq %r8\n  popq %rdi\n  popq %rsi\n  popq %rdx\n"
        "  popq %rcx\n  popq %rax\n"
        "  pushq $0\n  pushq %rcx\n  pushq %r11\n  pushq %rax\n"
        "  movl $23, %eax\n  syscall\n  ud2\n"
        "start_\\k: cld\n"
        "  movl $\\k, %edi\n  call interpret\n  ud2\n"
        ".endm\n"
        "entries 0\nentries 1\nentries 2\nentries 3\n");

/* Takes note of all events; after some within one operation, the rest stays masked, or they might never end. */
void acknowledge(u64 id, u64 *rflags) {
  struct vcpu_info *info = &shared_info->vcpu_info[id];
  WRITE_ONCE(info->evtchn_upcall_pending, 0);
  u64 words = __atomic_exchange_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
  for (; words; words &= words - 1)
    __atomic_exchange_n(&shared_info->evtchn_pending[__builtin_ctzl(words)], 0, __ATOMIC_SEQ_CST);
  if (++cpus[id].upcalls > 8) *rflags &= ~0x200ul;
}

static u64 call(struct cpu *cpu, u64 number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
  u64 registers[16] = {number, 0, c, 0, 0, 0, b, a, e, f, d};
  return enter(ADDRESS(code_syscall), registers, cpu);
}

static u64 load(struct cpu *cpu, u64 address) {
  u64 registers[16] = {[7] = address};
  return enter(ADDRESS(code_load), registers, cpu);
}

static void store(struct cpu *cpu, u64 address, u64 size, u64 value) {
  u64 registers[16] = {[6] = value, [7] = address};
  u8 *code = size == 1 ? code_store1 : size == 2 ? code_store2 : size == 4 ? code_store4 : code_store8;
  enter(ADDRESS(code), registers, cpu);
}

static u64 machine(u64 place, u64 offset);

/* ── Handlers and vCPUs ────────────────────────────────────────────────────────────────────────────────────────── */

/* FLAT_KERNEL_CS and _SS of arch-x86/xen-x86_64.h. */
enum { KERNEL_CS = 0xe033, KERNEL_SS = 0xe02b };

static u64 trap_stack(u64 id) { return ADDRESS(trap_stacks[id]) + sizeof trap_stacks[id]; }

/* Puts back what the interpreter lives on. */
static void repair(struct cpu *cpu) {
  for (u32 i = 0; i < 32; i++)
    trap_tables[cpu->id][i] = (struct trap_info){i < 31 ? (u8)i : 0x80, 3, KERNEL_CS, traps[cpu->id]};
  hypercall1(HC_set_trap_table, ADDRESS(trap_tables[cpu->id]));
  hypercall3(HC_set_callbacks, upcalls[cpu->id], traps[cpu->id], traps[cpu->id]);
  hypercall2(HC_stack_switch, KERNEL_SS, trap_stack(cpu->id));
}

static u64 start_cpu(struct cpu *cpu, u64 id) {
  static struct context context;
  if (id >= CPUS) return 0xbad;
  struct cpu *other = &cpus[id];
  memset(&context, 0, sizeof context);
  context.flags = 4; /* VGCF_in_kernel */
  context.regs[16] = starts[id], context.regs[17] = KERNEL_CS, context.regs[18] = 0x200;
  context.regs[19] = ADDRESS(stacks[id]) + STACK_SIZE, context.regs[20] = KERNEL_SS;
  context.kernel_ss = KERNEL_SS, context.kernel_sp = trap_stack(id);
  context.ctrlreg[3] = machine(TABLES, 0);
  context.event = upcalls[id], context.failsafe = context.syscall = traps[id];
  other->id = id, other->back = backs[id];
  u64 result = call(cpu, HC_vcpu_op, 0, id, ADDRESS(&context), 0, 0, 0);
  return result ? result : call(cpu, HC_vcpu_op, 1, id, 0, 0, 0, 0);
}

/* ── Programs ──────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A machine address of a page that is ours: by our list, but for shared_info and the grant table, which Xen lent. */
static u64 machine(u64 place, u64 offset) {
  if (place == SHARED_INFO) return start_info->shared_info + offset % PAGE_SIZE;
  if (place == GRANTS) return grant_frame * PAGE_SIZE + offset % PAGE_SIZE;
  u64 pfn = (places[place] + offset - VIRT_BASE) / PAGE_SIZE % start_info->nr_pages;
  return frame_of(pfn) * PAGE_SIZE + offset % PAGE_SIZE;
}

/* Machine address of the page-table entry that maps an address, by the tables as the domain was built. */
static u64 slot(u64 address) {
  const u64 *table = (const u64 *)start_info->pt_base;
  u64 frame = 0;
  for (u32 shift = 39; shift > 12; shift -= 9) {
    frame = table[address >> shift & 511] >> 12 & 0xfffffffffful;
    table = mfn_to_virt(frame);
  }
  return frame * PAGE_SIZE + (address >> 12 & 511) * 8;
}

/* Operand values carry a place in bits 56 to 62 and an offset below; bit 63 is kept, as a page-table entry's is. */
static u64 evaluate(struct cpu *cpu) {
  u8 kind = *cpu->next++;
  u64 v;
  memcpy(&v, cpu->next, sizeof v);
  cpu->next += sizeof v;
  u64 place = (v >> 56 & 127) % NO_PLACE, offset = v & (1ul << 56) - 1;
  switch (kind) {
    case ADDRESS_OF: return places[place] + offset;
    case MACHINE: return machine(place, offset) | (v & 1ul << 63);
    case FRAME: return machine(place, offset) / PAGE_SIZE;
    case SLOT: return arena_slots[offset / PAGE_SIZE % ARENA_PAGES] + offset % 8;
    case RESULT: return cpu->result;
    case WORD32: return (u32)load(cpu, ADDRESS(arena) + offset);
    case WORD64: return load(cpu, ADDRESS(arena) + offset);
    case DOMID: return domids[v % 4];
    case TIME: return time_system() + v;
    default: return v;
  }
}

static u64 run(struct cpu *cpu, const u64 *v, u32 count) {
  u64 registers[16] = {0};
  for (u32 i = 1; i + 1 < count; i += 2) registers[v[i] % 16] = v[i + 1];
  return enter(v[0], registers, cpu);
}

void interpret(u64 id) {
  struct cpu *cpu = &cpus[id];
  const u32 *programs = (const u32 *)start_info->mod_start;
  repair(cpu);
  /* User mode sees what the kernel does. */
  struct { u32 command; u64 frame, nothing; } base = {15 /* MMUEXT_NEW_USER_BASEPTR */, machine(TABLES, 0) / PAGE_SIZE, 0};
  hypercall4(HC_mmuext_op, ADDRESS(&base), 1, 0, DOMID_SELF);
  struct evtchn_bind_virq op = {VIRQ_TIMER, (u32)id, 0};
  hypercall2(HC_event_channel_op, EVTCHNOP_bind_virq, ADDRESS(&op));
  cpu->next = (const u8 *)start_info->mod_start + programs[id];
  while (programs[id]) {
    u64 v[34] = {0}, result = 0;
    u8 what = *cpu->next++, count = *cpu->next++;
    for (u32 i = 0; i < count; i++) v[i < 33 ? i : 33] = evaluate(cpu);
    begun[id]++;
    cpu->upcalls = 0;
    switch (what) {
      case OP_CALL: result = call(cpu, v[0], v[1], v[2], v[3], v[4], v[5], v[6]); break;
      case OP_STORE:
        for (u32 i = 2; i < count; i++) store(cpu, v[0] + (i - 2) * v[1], v[1], v[i]);
        break;
      case OP_LOAD: result = load(cpu, v[0]); break;
      case OP_RUN: result = run(cpu, v, count); break;
      case OP_START: result = start_cpu(cpu, v[0]); break;
      case OP_REPAIR: repair(cpu); break;
      default: programs = (const u32[CPUS]){0};
    }
    cpu->result = result;
  }
  struct sched_shutdown poweroff = {SHUTDOWN_poweroff};
  for (;;) {
    if (id == 0) hypercall2(HC_sched_op, SCHEDOP_shutdown, ADDRESS(&poweroff));
    else hypercall2(HC_vcpu_op, 2, id); /* VCPUOP_down */
  }
}

/* `peers=A,B` on the command line: domains to name in arguments. */
static void find_peers(void) {
  domids[0] = DOMID_SELF;
  const char *s = start_info->cmd_line;
  for (u32 i = 2; *s && i < 4; s++) {
    if (*s >= '0' && *s <= '9') domids[i] = domids[i] * 10 + (u64)(*s - '0');
    else if (*s == ',') i++;
  }
}

static void find_places(void) {
  places[ARENA] = ADDRESS(arena);
  places[MEMORY] = VIRT_BASE + (4ul << 20); /* behind the initial mapping */
  places[IMAGE] = ADDRESS(image_start);
  places[TABLES] = start_info->pt_base;
  places[SHARED_INFO] = ADDRESS(shared_info);
  places[START_INFO] = ADDRESS(start_info);
  places[CONSOLE] = ADDRESS(mfn_to_virt(start_info->console_mfn));
  places[STORE] = ADDRESS(mfn_to_virt(start_info->store_mfn));
  places[GRANTS] = ADDRESS(grant_page);
  places[STACK] = ADDRESS(stacks);
  places[P2M] = start_info->mfn_list;
  for (u64 i = 0; i < ARENA_PAGES; i++) arena_slots[i] = slot(ADDRESS(arena[i]));
}

static void map_grants(void) {
  struct { u16 dom; u32 frames; u16 status; u64 *list; } op = {DOMID_SELF, 1, 0, &grant_frame};
  hypercall3(HC_grant_table_op, 2, ADDRESS(&op), 1);
  if (op.status == 0) hypercall3(HC_update_va_mapping, ADDRESS(grant_page), grant_frame << 12 | 7, UVMF_INVLPG);
}

void kmain(void) {
  find_peers();
  map_grants();
  find_places();
  printf("FUZZ %lu\n", (ADDRESS(begun) - VIRT_BASE) / PAGE_SIZE);
  cpus[0].back = backs[0];
  interpret(0);
}
