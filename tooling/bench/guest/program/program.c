/*
 * Runs each kernel REPETITIONS times and prints a line after each, `name result`; before the first, `start`. Whoever
 * reads the lines takes the times. Ends with `done`.
 */
#include "../../kernels/kern.h"

u32 k_crc(const u8 *, ul, u32);
u32 k_sieve(u8 *, ul, u32);
u32 k_fib(u32);
void put(char c);

static u8 buffer[1 << 20] __attribute__((aligned(4096)));

static void print(const char *text) {
  while (*text) put(*text++);
}

static void report(const char *name, u32 result) {
  print(name);
  put(' ');
  for (int shift = 28; shift >= 0; shift -= 4) put("0123456789abcdef"[result >> shift & 15]);
  put('\n');
}

void run(void) {
  for (u32 i = 0; i < 65536; i++) buffer[i] = (u8)(i * 2654435761u >> 13);
  print("start\n");
  for (int i = 0; i < REPETITIONS; i++) report("crc", k_crc(buffer, 65536, 20));
  for (int i = 0; i < REPETITIONS; i++) report("sieve", k_sieve(buffer, 1000000, 4));
  for (int i = 0; i < REPETITIONS; i++) report("fib", k_fib(30));
  print("done\n");
}
