#include "guest.h"

typedef __builtin_va_list va_list;

/* A line at a time goes to the console. */
static char line[256];
static u32 used;

static void put(char c) {
  if (c == '\n') line[used++] = '\r';
  line[used++] = c;
  if (used >= sizeof line - 2) {
    console_write(line, used);
    used = 0;
  }
}

static void put_padded(const char *text, u64 length, int width, char pad, int left) {
  int missing = width - (int)length;
  for (; !left && missing > 0; missing--) put(pad);
  for (u64 i = 0; i < length; i++) put(text[i]);
  for (; missing > 0; missing--) put(' ');
}

static void put_number(u64 value, int negative, u32 base, int width, char pad, int left) {
  char digits[24];
  char *p = digits + sizeof digits;
  do *--p = "0123456789abcdef"[value % base];
  while (value /= base);
  if (negative) *--p = '-';
  put_padded(p, (u64)(digits + sizeof digits - p), width, pad, left);
}

void printf(const char *format, ...) {
  va_list args;
  __builtin_va_start(args, format);
  for (const char *f = format; *f; f++) {
    if (*f != '%') {
      put(*f);
      continue;
    }
    int left = *++f == '-';
    if (left) f++;
    char pad = *f == '0' ? '0' : ' ';
    int width = 0;
    while (*f >= '0' && *f <= '9') width = width * 10 + (*f++ - '0');
    int wide = 0;
    for (; *f == 'l'; f++) wide = 1;
    switch (*f) {
      case 'd': {
        s64 v = wide ? __builtin_va_arg(args, s64) : __builtin_va_arg(args, s32);
        put_number(v < 0 ? -(u64)v : (u64)v, v < 0, 10, width, pad, left);
        break;
      }
      case 'u':
      case 'x': {
        u64 v = wide ? __builtin_va_arg(args, u64) : __builtin_va_arg(args, u32);
        put_number(v, 0, *f == 'x' ? 16 : 10, width, pad, left);
        break;
      }
      case 's': {
        const char *s = __builtin_va_arg(args, const char *);
        put_padded(s, strlen(s), width, ' ', left);
        break;
      }
      case 'c':
        put((char)__builtin_va_arg(args, int));
        break;
      default:
        put(*f);
    }
  }
  __builtin_va_end(args);
  if (used) console_write(line, used);
  used = 0;
}
