/*
 * User mode: a program with page tables of its own, which the kernel is not in. It makes system calls, is interrupted by a
 * timer, and does what it may not; the kernel prints what came of it. Under another Xen the same lines come; tests compare
 * them.
 */
#include "../lib/guest.h"
#include "../lib/hypercall.h"

enum { MMUEXT_PIN_L4_TABLE = 3, MMUEXT_NEW_USER_BASEPTR = 15 };
/* arch-x86/xen-x86_64.h. A kernel's frames have CS with RPL 0: by that Xen knows where an iret leads. */
enum { FLAT_KERNEL_CS = 0xe033, FLAT_KERNEL_SS = 0xe02b, FLAT_USER_CS = 0xe033, FLAT_USER_SS = 0xe02b };
enum { PRESENT = 1, WRITABLE = 2, USER = 4, IF = 0x200 };
enum { UD = 6, GP = 13, PF = 14, SYSCALL = 0x100, EVENT = 0x101 };
enum { VCPUOP_set_singleshot_timer = 8 };

struct trap_info {
  u8 vector, flags;
  u16 cs;
  u64 address;
};
struct mmuext_op { u32 cmd; u64 arg1, arg2; };
struct singleshot { u64 timeout; u32 flags; };

/* What common leaves on the stack: the registers that C may change, then what Xen pushed. */
struct frame {
  u64 r10, r9, r8, rdi, rsi, rdx, rax, r11, rcx, vector, error, rip, cs, rflags, rsp, ss;
};

/*
 * Each way into the kernel pushes its number (and an error code where Xen gave none) and goes on in common, which calls
 * handle(frame) and returns to where the frame says by the iret hypercall: rax, r11, rcx, flags, rip, cs, rflags, rsp, ss.
 */
__asm__(".text\n"
        ".macro way name, number, error\n"
        "\\name: popq %rcx; popq %r11\n"
        ".if !\\error; pushq $0; .endif\n"
        "pushq $\\number; jmp common\n"
        ".endm\n"
        "way on_ud, 6, 0\n way on_gp, 13, 1\n way on_pf, 14, 1\n way on_syscall, 0x100, 0\n way on_event, 0x101, 0\n"
        "common: pushq %rcx; pushq %r11; pushq %rax; pushq %rdx; pushq %rsi; pushq %rdi; pushq %r8; pushq %r9; pushq %r10\n"
        "movq %rsp, %rdi; pushq %rbp; movq %rsp, %rbp; andq $-16, %rsp; cld; call handle; movq %rbp, %rsp; popq %rbp\n"
        "popq %r10; popq %r9; popq %r8; popq %rdi; popq %rsi; popq %rdx; popq %rax; popq %r11; popq %rcx\n"
        "addq $8, %rsp; movq $0, (%rsp); pushq %rcx; pushq %r11; pushq %rax; movl $23, %eax; syscall; ud2\n"
        /* enter(rip, rsp): there is no way back but the ways above */
        "enter: pushq $0xe02b; pushq %rsi; pushq $0x200; pushq $0xe033; pushq %rdi; pushq $0\n"
        "pushq $0; pushq $0; pushq $0; movl $23, %eax; syscall; ud2\n");
void on_ud(void), on_gp(void), on_pf(void), on_syscall(void), on_event(void);
void enter(u64 rip, u64 rsp) __attribute__((noreturn));

/*
 * The program: a page that is mapped at USER_BASE, read-only, with a page of data and stack behind it. System calls have
 * their number in rax, an argument in rdi, and a result in rax.
 */
#define USER_BASE 0x400000ul
enum { SYS_print = 1, SYS_number = 2, SYS_events = 3, SYS_exit = 4 };
__asm__(".balign 4096\n"
        "program: leaq 9f(%rip), %rdi; movl $1, %eax; syscall\n"
        /* 1 + … + 1000 */
        "xorl %edi, %edi; movl $1000, %ecx; 1: addq %rcx, %rdi; decl %ecx; jnz 1b; movl $2, %eax; syscall\n"
        /* its own memory */
        "leaq program+0x1000(%rip), %rbx; movq $42, (%rbx); movq (%rbx), %rdi; movl $2, %eax; syscall\n"
        /* wait for the timer, mostly here */
        "2: movl $5000, %ecx; 3: decl %ecx; jnz 3b; movl $3, %eax; syscall; testq %rax, %rax; jz 2b\n"
        /* what it may not do; the kernel goes on two bytes later */
        "leaq program(%rip), %rbx; movb %al, (%rbx)\n"
        "movq $0xffffffff80000000, %rbx; movb (%rbx), %al\n"
        "movl $0x500000, %ebx; movb %al, (%rbx)\n"
        "hlt; nop\n"
        "ud2\n"
        "movl $4, %eax; movl $7, %edi; syscall\n"
        "9: .asciz \"hello\"\n"
        ".balign 4096\n");
extern u8 program[PAGE_SIZE];

static u8 data[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u64 l4[512] __attribute__((aligned(PAGE_SIZE))), l3[512] __attribute__((aligned(PAGE_SIZE)));
static u64 l2[512] __attribute__((aligned(PAGE_SIZE))), l1[512] __attribute__((aligned(PAGE_SIZE)));
static u8 kernel_stack[2 * PAGE_SIZE] __attribute__((aligned(16)));
static u32 timer_port, events_in_user_mode;

static u64 frame_of(const void *page) {
  return ((const u64 *)start_info->mfn_list)[(ADDRESS(page) - VIRT_BASE) / PAGE_SIZE];
}
static u64 pte(const void *page, u64 flags) { return frame_of(page) * PAGE_SIZE | flags; }

/* Four tables for two pages. A table must not be mapped writable when it is pinned. */
static void make_user_tables(void) {
  l4[0] = pte(l3, PRESENT | WRITABLE | USER);
  l3[0] = pte(l2, PRESENT | WRITABLE | USER);
  l2[USER_BASE >> 21] = pte(l1, PRESENT | WRITABLE | USER);
  l1[0] = pte(program, PRESENT | USER);
  l1[1] = pte(data, PRESENT | WRITABLE | USER);
  const void *tables[] = {l4, l3, l2, l1};
  for (u32 i = 0; i < 4; i++)
    hypercall3(HC_update_va_mapping, ADDRESS(tables[i]), pte(tables[i], PRESENT), UVMF_INVLPG);
  struct mmuext_op ops[] = {{MMUEXT_PIN_L4_TABLE, frame_of(l4), 0}, {MMUEXT_NEW_USER_BASEPTR, frame_of(l4), 0}};
  printf("user page tables: %ld\n", hypercall4(HC_mmuext_op, ADDRESS(ops), 2, 0, DOMID_SELF));
}

/* An event on timer_port, once, in so many nanoseconds. */
static void set_timer(u64 ns) {
  struct singleshot timer = {time_system() + ns, 0};
  hypercall3(HC_vcpu_op, VCPUOP_set_singleshot_timer, 0, ADDRESS(&timer));
}

static void bind_timer(void) {
  struct evtchn_bind_virq bind = {VIRQ_TIMER, 0, 0};
  hypercall2(HC_event_channel_op, EVTCHNOP_bind_virq, ADDRESS(&bind));
  timer_port = bind.port;
  WRITE_ONCE(shared_info->evtchn_mask[timer_port / 64], ~(1ul << timer_port % 64));
}

static void system_call(struct frame *f) {
  switch (f->rax) {
    case SYS_print:
      /* The program's page is ours, too; its address is another. */
      printf("it says: %s\n", (const char *)program + (f->rdi - USER_BASE) % PAGE_SIZE);
      break;
    case SYS_number:
      printf("it counted: %lu\n", f->rdi);
      break;
    case SYS_events:
      f->rax = events_in_user_mode;
      return;
    case SYS_exit:
      printf("interrupted in user mode: %s\n", events_in_user_mode ? "yes" : "no");
      printf("it ended: %lu\n", f->rdi);
      shutdown(SHUTDOWN_poweroff);
  }
  f->rax = 0;
}

static void event(const struct frame *f) {
  struct vcpu_info *vcpu = &shared_info->vcpu_info[0];
  WRITE_ONCE(vcpu->evtchn_upcall_pending, 0);
  WRITE_ONCE(vcpu->evtchn_pending_sel, 0);
  if (shared_info->evtchn_pending[timer_port / 64] & 1ul << timer_port % 64) {
    WRITE_ONCE(shared_info->evtchn_pending[timer_port / 64], 0);
    if ((f->cs & 3) == 3) events_in_user_mode++;
    else set_timer(1000000);
  }
}

void handle(struct frame *f);
__attribute__((used)) void handle(struct frame *f) {
  const char *from = (f->cs & 3) == 3 ? "user" : "kernel";
  switch (f->vector) {
    case SYSCALL:
      system_call(f);
      return;
    case EVENT:
      event(f);
      return;
    case PF:
      printf("#PF from %s mode: address %lx, code %lx\n", from, shared_info->vcpu_info[0].cr2, f->error);
      break;
    default:
      printf("%s from %s mode: code %lx\n", f->vector == UD ? "#UD" : "#GP", from, f->error);
  }
  f->rip += 2;
}

void kmain(void) {
  static const struct trap_info traps[] = {
      {UD, 0, FLAT_KERNEL_CS, ADDRESS(on_ud)},
      {GP, 0, FLAT_KERNEL_CS, ADDRESS(on_gp)},
      /* flags 4: upcalls masked, as the handler reads cr2 */
      {PF, 4, FLAT_KERNEL_CS, ADDRESS(on_pf)},
      {0, 0, 0, 0},
  };
  extern void failsafe_callback(void);
  hypercall1(HC_set_trap_table, ADDRESS(traps));
  hypercall3(HC_set_callbacks, ADDRESS(on_event), ADDRESS(failsafe_callback), ADDRESS(on_syscall));
  hypercall2(HC_stack_switch, FLAT_KERNEL_SS, ADDRESS(kernel_stack + sizeof kernel_stack));
  make_user_tables();
  bind_timer();
  set_timer(20000000);
  WRITE_ONCE(shared_info->vcpu_info[0].evtchn_upcall_mask, 0);
  enter(USER_BASE, USER_BASE + 2 * PAGE_SIZE - 16);
}
