#include "guest.h"

u64 strlen(const char *s) {
  u64 n = 0;
  while (s[n]) n++;
  return n;
}

int strcmp(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, u64 n) {
  for (; n && *a && *a == *b; n--) a++, b++;
  return n ? (u8)*a - (u8)*b : 0;
}

void *memcpy(void *to, const void *from, u64 n) {
  void *start = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
  return start;
}

void *memset(void *to, int c, u64 n) {
  void *start = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
  return start;
}
