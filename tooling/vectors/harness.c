// Runs short pieces of machine code on this processor and records what they leave. x86-64 Linux only.
//
//   harness CASES RESULTS
//
// CASES is an array of `struct state`, RESULTS the same array with what the processor made of it. Each case starts with
// all registers and the memory window as given and ends at the first INT3 or fault. Both the way in and the way out are
// a signal frame: the handler takes the registers of the case that ended from the frame, puts those of the next one in
// and returns, so that no assembly stands between a case and its state.
//
// The layout of `struct state` and the fixed addresses are those of packages/cpu-emulator/src/testing/vectors/state.ts.
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <asm/prctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <unistd.h>

#define CODE_PAGES 0x20000
#define CODE_SIZE 0x2000
#define DATA_PAGES 0x40000
#define DATA_SIZE 0x2000
// The window straddles the border between the two data pages.
#define WINDOW (DATA_PAGES + 0x1000 - 192)
#define WINDOW_SIZE 512
#define TAIL_SIZE 256
#define GS_BASE 0x3000

struct state {
  uint8_t code[96];
  uint32_t code_length;
  uint32_t mode;  // 64 or 32
  uint64_t rip;
  uint64_t gpr[16];
  uint64_t rflags;
  uint32_t mxcsr;
  uint32_t vector;
  uint32_t error;
  uint32_t padding;
  uint8_t xmm[16][16];
  uint8_t memory[WINDOW_SIZE];
  // The x87 unit: the tag word and the registers by their physical numbers.
  uint16_t control, status, tags, opcode;
  uint64_t instruction, operand;
  uint8_t st[8][16];
};

static const int GREGS[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static struct state *cases;
static long count;
static long running = -1;
static sigjmp_buf finished;

// XSTATE_BV of the frame's XSAVE image: a component whose bit is clear is in its initial state.
static uint64_t *xsave_components(ucontext_t *context) {
  return (uint64_t *)((char *)context->uc_mcontext.fpregs + 512);
}

static void begin(ucontext_t *context) {
  struct state *s = &cases[running];
  memcpy((void *)s->rip, s->code, s->code_length);
  memcpy((void *)WINDOW, s->memory, WINDOW_SIZE);
  memset((void *)(DATA_PAGES + DATA_SIZE - TAIL_SIZE), 0, TAIL_SIZE);
  greg_t *regs = context->uc_mcontext.gregs;
  for (int i = 0; i < 16; i++) regs[GREGS[i]] = (greg_t)s->gpr[i];
  regs[REG_RIP] = (greg_t)s->rip;
  regs[REG_EFL] = (greg_t)s->rflags;
  // CS 0x33 is Linux's 64-bit code segment, 0x23 its 32-bit one; SS 0x2b serves both.
  regs[REG_CSGSFS] = (greg_t)(s->mode == 64 ? 0x002b000000000033 : 0x002b000000000023);
  memcpy(context->uc_mcontext.fpregs->_xmm, s->xmm, sizeof s->xmm);
  struct _libc_fpstate *fp = context->uc_mcontext.fpregs;
  fp->mxcsr = s->mxcsr;
  fp->cwd = s->control;
  fp->swd = s->status;
  fp->ftw = s->tags;
  fp->fop = s->opcode;
  fp->rip = s->instruction;
  fp->rdp = s->operand;
  for (int i = 0; i < 8; i++) memcpy(&fp->_st[i], s->st[((s->status >> 11) + i) & 7], 10);
  *xsave_components(context) |= 3;
}

static void end(ucontext_t *context) {
  struct state *s = &cases[running];
  const greg_t *regs = context->uc_mcontext.gregs;
  memset((void *)s->rip, 0xcc, s->code_length);
  for (int i = 0; i < 16; i++) s->gpr[i] = (uint64_t)regs[GREGS[i]];
  s->rip = (uint64_t)regs[REG_RIP];
  s->rflags = (uint64_t)regs[REG_EFL];
  s->vector = (uint32_t)regs[REG_TRAPNO];
  s->error = (uint32_t)regs[REG_ERR];
  memcpy(s->xmm, context->uc_mcontext.fpregs->_xmm, sizeof s->xmm);
  struct _libc_fpstate *fp = context->uc_mcontext.fpregs;
  s->mxcsr = fp->mxcsr;
  if (*xsave_components(context) & 1) {
    s->control = fp->cwd;
    s->status = fp->swd;
    s->tags = fp->ftw;
    s->opcode = fp->fop;
    s->instruction = fp->rip;
    s->operand = fp->rdp;
    for (int i = 0; i < 8; i++) memcpy(s->st[((s->status >> 11) + i) & 7], &fp->_st[i], 10);
  } else {
    s->control = 0x37f;
    s->status = s->tags = s->opcode = 0;
    s->instruction = s->operand = 0;
    memset(s->st, 0, sizeof s->st);
  }
  memcpy(s->memory, (void *)WINDOW, WINDOW_SIZE);
}

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  if (running >= 0) end(context);
  if (++running == count) siglongjmp(finished, 1);
  begin(context);
}

static void fixed_pages(uintptr_t address, size_t size, int protection) {
  void *p = mmap((void *)address, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (p != (void *)address) {
    perror("mmap");
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: harness CASES RESULTS\n");
    return 2;
  }
  int in = open(argv[1], O_RDONLY);
  struct stat status;
  if (in < 0 || fstat(in, &status) != 0) {
    perror(argv[1]);
    return 1;
  }
  cases = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, in, 0);
  count = status.st_size / (long)sizeof(struct state);
  if (cases == MAP_FAILED || count * (long)sizeof(struct state) != status.st_size) {
    fprintf(stderr, "harness: %s is no array of cases\n", argv[1]);
    return 1;
  }
  fixed_pages(CODE_PAGES, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
  fixed_pages(DATA_PAGES, DATA_SIZE, PROT_READ | PROT_WRITE);
  memset((void *)CODE_PAGES, 0xcc, CODE_SIZE);

  // glibc's own thread pointer is FS, so GS is free.
  if (syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE) != 0) {
    perror("arch_prctl");
    return 1;
  }

  static uint8_t stack[65536];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
  // Linux leaves DS and ES null in 64-bit programs; compatibility code needs them.
  __asm__ volatile("mov %0, %%ds; mov %0, %%es" ::"r"(0x2b));
  if (sigsetjmp(finished, 0) == 0) __asm__ volatile("int3");

  int out = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644);
  for (char *at = (char *)cases, *limit = at + status.st_size; at < limit;) {
    ssize_t written = write(out, at, (size_t)(limit - at));
    if (written <= 0) {
      perror(argv[2]);
      return 1;
    }
    at += written;
  }
  return 0;
}
