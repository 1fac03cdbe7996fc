#include <unistd.h>
void run(void);
static char line[64];
static int used;
void put(char c) {
  line[used++] = c;
  if (c == '\n') {
    if (write(1, line, used) != used) _exit(1);
    used = 0;
  }
}
int main(void) {
  run();
  return 0;
}
