/*
 * Three loops that only compute: a bitwise CRC-32 of 64 KiB, 20 times; a sieve of 1,000,000, 4 times; Fibonacci of 30.
 * Their results must be 28025c24, 132a2 and cb228; times are in nanoseconds of Xen's clock.
 */
#include "../lib/guest.h"

typedef u64 ul;
#define NI __attribute__((noinline))
#include "bench-kernels.inc"

static u8 buffer[1 << 20] __attribute__((aligned(PAGE_SIZE)));

static u64 started;

static void begin(const char *name) {
  printf("BENCH-START %s\n", name);
  console_flush();
  started = time_system();
}

static void end(const char *name, u32 result) {
  u64 elapsed = time_system() - started;
  printf("BENCH-END %s %08x %lu\n", name, result, elapsed);
}

void kmain(void) {
  for (u32 i = 0; i < 65536; i++) buffer[i] = (u8)(i * 2654435761u >> 13);
  begin("crc");
  end("crc", k_crc(buffer, 65536, 20));
  begin("sieve");
  end("sieve", k_sieve(buffer, 1000000, 4));
  begin("fib");
  end("fib", k_fib(30));
  printf("BENCH-DONE\n");
}
