#include "guest.h"
#include "hypercall.h"

static struct console_ring *ring(void) {
  static struct console_ring *console;
  if (!console) console = mfn_to_virt(start_info->console_mfn);
  return console;
}

/* Sleeps until the console daemon says something, whether or not there is an upcall handler. */
static void wait_for_console(void) {
  u32 port = start_info->console_evtchn;
  struct sched_poll poll = {&port, 1, 0};
  event_send(port);
  hypercall2(HC_sched_op, SCHEDOP_poll, ADDRESS(&poll));
  __atomic_fetch_and(&shared_info->evtchn_pending[port / 64], ~(1ul << (port % 64)), __ATOMIC_SEQ_CST);
}

void console_write(const char *text, u64 length) {
  struct console_ring *r = ring();
  u32 produced = r->out_prod;
  for (u64 i = 0; i < length; i++) {
    while (produced - READ_ONCE(r->out_cons) >= sizeof r->out) {
      WRITE_ONCE(r->out_prod, produced);
      wait_for_console();
    }
    r->out[produced++ % sizeof r->out] = text[i];
  }
  barrier();
  WRITE_ONCE(r->out_prod, produced);
  event_send(start_info->console_evtchn);
}

void console_flush(void) {
  struct console_ring *r = ring();
  while (READ_ONCE(r->out_cons) != r->out_prod) wait_for_console();
}

int console_read(void) {
  struct console_ring *r = ring();
  u32 waiting = READ_ONCE(r->in_prod) - r->in_cons;
  if (waiting == 0) return -1;
  barrier();
  int c = (u8)r->in[r->in_cons % sizeof r->in];
  barrier();
  WRITE_ONCE(r->in_cons, r->in_cons + 1);
  /* The daemon waits for room only when the ring was full. */
  if (waiting >= sizeof r->in) event_send(start_info->console_evtchn);
  return c;
}
