/*
 * Breakpoints: on instructions, data and ports, single steps, with `int` on the command line INT1, INT n and a fault, and RF in the frames of
 * faults. Prints for each exception where it came, RF in its frame, and DR6. Under another Xen the same lines come; tests
 * compare them.
 */
#include "../lib/guest.h"
#include "../lib/hypercall.h"

enum { TF = 0x100, RF = 0x10000, DR6_CLEAR = 0xffff0ff0, WATCH_WRITE = 1, WATCH_ACCESS = 3, PORT = 2 };
/* arch-x86/xen-x86_64.h */
enum { FLAT_KERNEL_CS = 0xe033 };

struct trap_info {
  u8 vector, flags;
  u16 cs;
  u64 address;
};

/* What Xen leaves on the stack above r11. */
struct frame {
  u64 rip, cs, rflags, rsp, ss;
};

static struct {
  u64 rip, rflags, dr6;
} seen[8];
static u32 count, steps;

/*
 * Entries of #DB, #BP, #UD and INT 0x30. Every one calls note(frame), and returns by the iret hypercall.
 * Then the code that is looked at.
 */
__asm__(".text\n"
        "trap_entry: popq %rcx; popq %r11\n"
        "pushq %rax; pushq %rcx; pushq %rdx; pushq %rsi; pushq %rdi; pushq %r8; pushq %r9; pushq %r10; pushq %r11\n"
        "pushq %rbp; leaq 80(%rsp), %rdi; movq %rsp, %rbp; andq $-16, %rsp; cld; call note; movq %rbp, %rsp; popq %rbp\n"
        "popq %r11; popq %r10; popq %r9; popq %r8; popq %rdi; popq %rsi; popq %rdx; popq %rcx; popq %rax\n"
        "pushq $0; pushq %rcx; pushq %r11; pushq %rax; movl $23, %eax; syscall; ud2\n"
        "nops: nop; nop; nop; ret\n"
        "store: movl %esi, (%rdi); nop; ret\n"
        "load: movl (%rdi), %eax; nop; ret\n"
        "fill: movq %rsi, %rcx; rep stosb; nop; ret\n"
        "step: pushfq; orq $0x100, (%rsp); popfq; nop; nop; nop; ret\n"
        "int1: .byte 0xf1; nop; ret\n"
        "int3: int3; nop; ret\n"
        "int48: int $0x30; nop; ret\n"
        "invalid: ud2; nop; ret\n"
        "output: xorl %eax, %eax; outb %al, $0x80; nop; ret\n");
void trap_entry(void), nops(void), store(u32 *to, u64 value), fill(u8 *to, u64 bytes), step(void), int1(void), int3(void),
    int48(void), invalid(void), output(void);
u32 load(const u32 *from);

void note(struct frame *f);
__attribute__((used)) void note(struct frame *f) {
  u64 dr6 = (u64)hypercall1(HC_get_debugreg, 6);
  if (count < 8) {
    seen[count].rip = f->rip;
    seen[count].rflags = f->rflags;
    seen[count].dr6 = dr6;
  }
  count++;
  hypercall2(HC_set_debugreg, 6, DR6_CLEAR);
  /* So that an instruction breakpoint lets its instruction through. */
  f->rflags |= RF;
  if (f->rflags & TF && ++steps == 3) f->rflags &= ~(u64)TF;
  if (f->rip == ADDRESS(invalid)) f->rip += 2;
}

static void report(const char *what, u64 code) {
  barrier();
  printf("%s: %u", what, count);
  for (u32 i = 0; i < count && i < 8; i++)
    printf(", at +%lu RF %u DR6 %lx", seen[i].rip - code, seen[i].rflags & RF ? 1 : 0, seen[i].dr6);
  printf("\n");
  count = 0;
}

static s64 set(u64 n, u64 value) { return hypercall2(HC_set_debugreg, n, value); }

/* Breakpoint n of a kind, 1 << length bytes. */
static void watch(u64 n, u64 address, u64 kind, u64 bytes) {
  static const u8 length[] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};
  printf("set_debugreg %ld", set(n, address));
  printf(" %ld\n", set(7, 1ul << (2 * n) | kind << (16 + 4 * n) | (u64)length[bytes] << (18 + 4 * n)));
}

void kmain(void) {
  static const struct trap_info traps[] = {
      {1, 0, FLAT_KERNEL_CS, ADDRESS(trap_entry)},
      {3, 3, FLAT_KERNEL_CS, ADDRESS(trap_entry)},
      {6, 0, FLAT_KERNEL_CS, ADDRESS(trap_entry)},
      {0x30, 3, FLAT_KERNEL_CS, ADDRESS(trap_entry)},
      {0, 0, 0, 0},
  };
  static u32 data[4] __attribute__((aligned(16)));
  hypercall1(HC_set_trap_table, ADDRESS(traps));
  printf("at first: DR6 %lx DR7 %lx\n", hypercall1(HC_get_debugreg, 6), hypercall1(HC_get_debugreg, 7));

  watch(0, ADDRESS(nops) + 1, 0, 1);
  nops();
  report("an instruction", ADDRESS(nops));
  watch(3, ADDRESS(&data[1]), WATCH_WRITE, 4);
  store(&data[1], 1);
  report("a store", ADDRESS(store));
  store(&data[2], 1);
  report("a store beside it", ADDRESS(store));
  load(&data[1]);
  report("a load", ADDRESS(load));
  store((u32 *)(ADDRESS(&data[0]) + 1), 1);
  report("a store into it", ADDRESS(store));
  watch(1, ADDRESS(&data[2]) + 1, WATCH_ACCESS, 1);
  load(&data[2]);
  report("a load of a watched byte", ADDRESS(load));
  fill((u8 *)data, 16);
  report("a repeated store", ADDRESS(fill));
  watch(0, ADDRESS(&data[2]), WATCH_WRITE, 8);
  fill((u8 *)data, 16);
  report("a repeated store to eight bytes", ADDRESS(fill));
  set(7, 0);
  store(&data[3], 1);
  report("switched off", ADDRESS(store));

  step();
  report("single steps", ADDRESS(step));
  int3();
  report("int3", ADDRESS(int3));

  u32 iopl = 1;
  printf("set_iopl %ld\n", hypercall2(HC_physdev_op, PHYSDEVOP_set_iopl, ADDRESS(&iopl)));
  watch(2, 0x80, PORT, 1);
  u64 cr4;
  __asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
  __asm__ volatile("movq %0, %%cr4" ::"r"(cr4 | 8));
  watch(2, 0x80, PORT, 1);
  output();
  report("a port", ADDRESS(output));
  printf("DR7 %lx\n", hypercall1(HC_get_debugreg, 7));
  printf("DR4 %ld\n", hypercall1(HC_get_debugreg, 4));
  /* QEMU's processor checks the gate's DPL for INT1, gives a wrong error code for INT n, and faults without RF. */
  if (strcmp(start_info->cmd_line, "int") == 0) {
    int1();
    report("int1", ADDRESS(int1));
    int48();
    report("int 0x30", ADDRESS(int48));
    invalid();
    report("ud2", ADDRESS(invalid));
  }
  printf("DEBUG-DONE\n");
}
