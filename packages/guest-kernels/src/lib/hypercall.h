/* Hypercalls by `syscall`: the number in rax, arguments in rdi, rsi, rdx, r10, r8; rcx and r11 are lost. */
#pragma once
#include "abi.h"

static inline s64 hypercall4(u64 number, u64 a, u64 b, u64 c, u64 d) {
  register u64 r10 __asm__("r10") = d;
  __asm__ volatile("syscall"
                   : "+a"(number), "+D"(a), "+S"(b), "+d"(c), "+r"(r10)
                   :
                   : "rcx", "r11", "r8", "r9", "memory");
  return (s64)number;
}
static inline s64 hypercall3(u64 n, u64 a, u64 b, u64 c) { return hypercall4(n, a, b, c, 0); }
static inline s64 hypercall2(u64 n, u64 a, u64 b) { return hypercall4(n, a, b, 0, 0); }
static inline s64 hypercall1(u64 n, u64 a) { return hypercall4(n, a, 0, 0, 0); }

#define ADDRESS(p) ((u64)(p))
#define barrier() __asm__ volatile("" ::: "memory")
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
