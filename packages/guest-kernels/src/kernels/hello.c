/* The smallest guest: one line on the console, then power off. */
#include "../lib/guest.h"

void kmain(void) {
  printf("Hello from a Xen guest.\n");
  shutdown(SHUTDOWN_poweroff);
}
