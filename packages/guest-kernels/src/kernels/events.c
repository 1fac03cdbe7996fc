/*
 * Event channels in both ABIs, step by step: what each operation answers, and what an event leaves in memory. First the
 * 2-level ABI, with which every guest begins; then FIFO, with its priorities; then EVTCHNOP_reset, which leads back. Needs
 * one vCPU. Every line is the same under real Xen 4.17. The last one is "events: done".
 */
#include "../lib/guest.h"
#include "../lib/hypercall.h"

/* event_channel.h */
enum {
  EVTCHNOP_bind_interdomain = 0, EVTCHNOP_close = 3, EVTCHNOP_bind_ipi = 7, EVTCHNOP_bind_vcpu = 8,
  EVTCHNOP_reset = 10, EVTCHNOP_init_control = 11, EVTCHNOP_expand_array = 12, EVTCHNOP_set_priority = 13,
};
enum { VIRQ_DEBUG = 1, VIRQ_CONSOLE = 2 };
struct bind_interdomain { u16 remote_dom; u32 remote_port, local_port; };
struct alloc_unbound { u16 dom, remote_dom; u32 port; };
struct bind_ipi { u32 vcpu, port; };
struct status { u16 dom; u32 port, status, vcpu; union { struct { u16 dom; u32 port; } interdomain; u32 virq; }; };
struct port_and { u32 port, value; };
struct init_control { u64 gfn; u32 offset, vcpu; u8 link_bits, pad[7]; };
struct control_block { u32 ready, reserved, head[16]; };

/* vcpu.h */
enum { VCPUOP_stop_periodic_timer = 7 };

#define PENDING (1u << 31)
#define MASKED (1u << 30)
#define LINKED (1u << 29)
#define LINK 0x1ffffu

enum { MS = 1000000, OFFSET = 64 };

static struct { u8 before[OFFSET]; struct control_block block; } control __attribute__((aligned(PAGE_SIZE)));
static u32 words[1024] __attribute__((aligned(PAGE_SIZE)));

/* ── Operations: the port of those that give one, or −errno ───────────────────────────────────────────────────────── */

static s64 event_op(u32 operation, void *argument) {
  return hypercall2(HC_event_channel_op, operation, ADDRESS(argument));
}
static s64 port_op(u32 operation, u32 port, u32 value) {
  struct port_and op = {port, value};
  return event_op(operation, &op);
}
static s64 bind_ipi(u32 vcpu) {
  struct bind_ipi op = {vcpu, 0};
  s64 rc = event_op(EVTCHNOP_bind_ipi, &op);
  return rc ? rc : op.port;
}
static s64 bind_virq(u32 virq, u32 vcpu) {
  struct evtchn_bind_virq op = {virq, vcpu, 0};
  s64 rc = event_op(EVTCHNOP_bind_virq, &op);
  return rc ? rc : op.port;
}
static s64 alloc_unbound(u16 dom, u16 remote) {
  struct alloc_unbound op = {dom, remote, 0};
  s64 rc = event_op(EVTCHNOP_alloc_unbound, &op);
  return rc ? rc : op.port;
}
static s64 bind_interdomain(u16 dom, u32 port) {
  struct bind_interdomain op = {dom, port, 0};
  s64 rc = event_op(EVTCHNOP_bind_interdomain, &op);
  return rc ? rc : op.local_port;
}
static struct status status(u32 port) {
  struct status op = {.dom = DOMID_SELF, .port = port};
  event_op(EVTCHNOP_status, &op);
  return op;
}
static s64 reset(void) {
  u16 dom = DOMID_SELF;
  return event_op(EVTCHNOP_reset, &dom);
}
static u64 mfn_of(const void *page) {
  const u64 *mfns = (const u64 *)start_info->mfn_list;
  return mfns[(ADDRESS(page) - VIRT_BASE) / PAGE_SIZE];
}
static s64 init_control(u64 mfn, u32 offset, u32 vcpu) {
  struct init_control op = {mfn, offset, vcpu, 0, {0}};
  s64 rc = event_op(EVTCHNOP_init_control, &op);
  return rc ? rc : op.link_bits;
}
static s64 expand_array(u64 mfn) { return event_op(EVTCHNOP_expand_array, &mfn); }
static s64 send(u32 port) { return port_op(EVTCHNOP_send, port, 0); }
static s64 unmask(u32 port) { return port_op(EVTCHNOP_unmask, port, 0); }
static s64 close(u32 port) { return port_op(EVTCHNOP_close, port, 0); }
static s64 priority(u32 port, u32 value) { return port_op(EVTCHNOP_set_priority, port, value); }

static s64 poll(u32 *ports, u32 count, u64 timeout) {
  struct sched_poll op = {ports, count, timeout};
  return hypercall2(HC_sched_op, SCHEDOP_poll, ADDRESS(&op));
}
static s64 poll_one(u32 port, u64 timeout) { return poll(&port, 1, timeout); }

static void say(const char *what, s64 result) { printf("%s: %ld\n", what, result); }

/* ── 2-level ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static struct vcpu_info *vcpu(void) { return &shared_info->vcpu_info[0]; }

static int bit(const u64 *bits, u32 n) { return (int)(READ_ONCE(bits[n / 64]) >> n % 64 & 1); }

/* What an event left: the port's bit, the selector of its word, the upcall flag; and takes it all back. */
static void two_level_state(const char *what, u32 port) {
  printf("%s: pending %d selected %d upcall %d\n", what, bit(shared_info->evtchn_pending, port),
         bit(&vcpu()->evtchn_pending_sel, port / 64), READ_ONCE(vcpu()->evtchn_upcall_pending));
  WRITE_ONCE(vcpu()->evtchn_upcall_pending, 0);
  WRITE_ONCE(vcpu()->evtchn_pending_sel, 0);
  __atomic_fetch_and(&shared_info->evtchn_pending[port / 64], ~(1ul << port % 64), __ATOMIC_SEQ_CST);
}

static void two_level(void) {
  printf("2-level\n");
  u32 ipi = (u32)bind_ipi(0);
  say("bind_ipi", ipi);
  say("bind_ipi, no such vCPU", bind_ipi(1));
  say("send", send(ipi));
  two_level_state("an event", ipi);
  __atomic_fetch_or(&shared_info->evtchn_mask[ipi / 64], 1ul << ipi % 64, __ATOMIC_SEQ_CST);
  send(ipi);
  printf("masked: pending %d selected %d\n", bit(shared_info->evtchn_pending, ipi), bit(&vcpu()->evtchn_pending_sel, 0));
  say("poll of a masked, pending port", poll_one(ipi, 0));
  say("unmask", unmask(ipi));
  two_level_state("unmasked", ipi);

  u32 timer = (u32)bind_virq(VIRQ_TIMER, 0);
  say("bind_virq", timer);
  say("bind_virq again", bind_virq(VIRQ_TIMER, 0));
  say("bind_virq, global on vCPU 1", bind_virq(VIRQ_CONSOLE, 1));
  say("bind_virq, no such vCPU", bind_virq(VIRQ_DEBUG, 1));
  say("bind_virq, no such VIRQ", bind_virq(24, 0));
  hypercall1(HC_set_timer_op, time_system() + MS);
  say("poll of the timer", poll_one(timer, 0));
  two_level_state("the timer", timer);
  u64 before = time_system();
  say("poll until a time-out", poll_one(timer, before + 2 * MS));
  printf("it waited: %s\n", time_system() - before >= 2 * MS ? "yes" : "no");
  say("poll of a free port", poll_one(20, 0));
  static u32 many[129];
  say("poll of 129 ports", poll(many, 129, 0));

  u32 unbound = (u32)alloc_unbound(DOMID_SELF, DOMID_SELF);
  say("alloc_unbound", unbound);
  say("send, unbound", send(unbound));
  u32 other = (u32)bind_interdomain(DOMID_SELF, unbound);
  say("bind_interdomain", other);
  two_level_state("the binder", other);
  struct status s = status(other);
  printf("status: %u to port %u\n", s.status, s.interdomain.port);
  say("bind_interdomain, bound already", bind_interdomain(DOMID_SELF, unbound));
  say("alloc_unbound, another domain", alloc_unbound(0, DOMID_SELF));
  say("send", send(other));
  two_level_state("the other end", unbound);
  say("bind_vcpu, no such vCPU", port_op(EVTCHNOP_bind_vcpu, other, 1));
  say("bind_vcpu, IPI", port_op(EVTCHNOP_bind_vcpu, ipi, 0));
  say("close", close(other));
  printf("status of the other end: %u\n", status(unbound).status);
  say("close again", close(other));
  say("close, port 0", close(0));
  say("expand_array", expand_array(mfn_of(words)));
  say("set_priority", priority(ipi, 0));
  say("set_priority, no such port", priority(4000, 0));
}

/* ── FIFO ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void word(const char *what, u32 port) {
  u32 w = READ_ONCE(words[port]);
  printf("%s:%s%s%s link %u\n", what, w & PENDING ? " pending" : "", w & MASKED ? " masked" : "", w & LINKED ? " linked" : "",
         w & LINK);
}

/* Takes all events from the queues, the most urgent first, and prints their ports. */
static void take(const char *what) {
  printf("%s: upcall %d ready %x, took", what, READ_ONCE(vcpu()->evtchn_upcall_pending), control.block.ready);
  WRITE_ONCE(vcpu()->evtchn_upcall_pending, 0);
  u32 ready;
  while ((ready = READ_ONCE(control.block.ready))) {
    u32 queue = (u32)__builtin_ctz(ready);
    __atomic_fetch_and(&control.block.ready, ~(1u << queue), __ATOMIC_SEQ_CST);
    for (u32 port = READ_ONCE(control.block.head[queue]); port;) {
      u32 w = __atomic_fetch_and(&words[port], ~(LINKED | LINK), __ATOMIC_SEQ_CST);
      if (w & PENDING && !(w & MASKED)) {
        __atomic_fetch_and(&words[port], ~PENDING, __ATOMIC_SEQ_CST);
        printf(" %u", port);
      }
      port = w & LINK;
    }
  }
  printf("\n");
}

/* The console's and xenstore's events come when they will: they stay masked. */
static void fifo_memory(u32 quiet) {
  memset(&control, 0, sizeof control);
  memset(words, 0, sizeof words);
  for (u32 port = 1; port <= quiet; port++) words[port] = MASKED;
}

static void fifo(void) {
  enum { IPI = 3, TIMER = 4 };
  printf("FIFO\n");
  fifo_memory(2);
  send(IPI);
  u64 block = mfn_of(&control), tables = mfn_of((void *)start_info->pt_base);
  say("init_control, no such vCPU", init_control(block, OFFSET, 1));
  say("init_control, not aligned", init_control(block, 4, 0));
  say("init_control, across the page's end", init_control(block, PAGE_SIZE - 64, 0));
  say("init_control, no frame", init_control(~0ul, OFFSET, 0));
  say("init_control, a page table", init_control(tables, OFFSET, 0));
  say("init_control", init_control(block, OFFSET, 0));
  say("init_control again", init_control(block, OFFSET, 0));
  WRITE_ONCE(vcpu()->evtchn_upcall_pending, 0);
  send(TIMER); /* A VIRQ cannot be sent. */
  say("expand_array, a page table", expand_array(tables));
  say("expand_array", expand_array(mfn_of(words)));
  take("what was pending before");

  u32 a = (u32)bind_ipi(0), b = (u32)bind_ipi(0), c = (u32)bind_ipi(0);
  printf("bind_ipi: %u %u %u\n", a, b, c);
  send(a), send(b), send(c), send(b);
  word("first", a);
  word("second", b);
  word("third", c);
  take("in order");
  say("set_priority", priority(a, 15));
  say("set_priority", priority(c, 0));
  say("set_priority, 16", priority(a, 16));
  say("set_priority, a free port", priority(40, 1));
  send(a), send(b), send(c);
  take("by priority");
  send(a);
  priority(a, 3);
  send(a);
  take("while linked it stays where it is");
  send(a), send(b);
  take("later it moves");

  __atomic_fetch_or(&words[b], MASKED, __ATOMIC_SEQ_CST);
  send(b);
  word("a masked event", b);
  say("poll of it", poll_one(b, 0));
  take("nothing");
  say("unmask", unmask(b));
  take("unmasked");
  send(a), send(b);
  __atomic_fetch_or(&words[b], MASKED, __ATOMIC_SEQ_CST);
  take("masked while it is linked");
  unmask(b);
  take("unmasked");

  send(b);
  say("close, while it is linked", close(b));
  word("its word", b);
  say("bind_ipi passes over it", bind_ipi(0));
  take("nothing");
  say("bind_ipi", bind_ipi(0));
  priority(b, 2);
  close(b);
  bind_ipi(0);
  send(b);
  take("a new port has the usual priority");

  hypercall1(HC_set_timer_op, time_system() + MS);
  say("poll of the timer", poll_one(TIMER, 0));
  take("the timer");
  priority(TIMER, 0);
  hypercall1(HC_set_timer_op, time_system() + MS);
  events_init();
  wait_for_event(); /* The library's handler takes the upcall; the queue is ours. */
  take("after an upcall");
}

static void limits(void) {
  s64 port, last = 0, ports = 0;
  while ((port = bind_ipi(0)) > 0) last = port, ports++;
  printf("the last port: %ld, then %ld\n", last, port);
  while (expand_array(mfn_of(words)) == 0) ports++;
  say("expand_array, at the end", expand_array(mfn_of(words)));
}

/* ── Reset ────────────────────────────────────────────────────────────────────────────────────────────────────────── */

static void reset_all(void) {
  printf("reset\n");
  console_flush();
  /* The console's port goes with all others. Its other end is left unbound for us, so that we can bind it again. */
  struct status console = status(start_info->console_evtchn);
  s64 rc = reset();
  start_info->console_evtchn = (u32)bind_interdomain(console.interdomain.dom, console.interdomain.port);
  say("reset", rc);
  say("the console's new port", start_info->console_evtchn);
  say("expand_array", expand_array(mfn_of(words)));
  /* Not port 2: what came for it as the console's before FIFO comes again with its new word, and that is nobody's to say. */
  bind_ipi(0), bind_ipi(0);
  u32 ipi = (u32)bind_ipi(0);
  say("bind_ipi", ipi);
  two_level_state("before", ipi);
  send(ipi);
  two_level_state("2-level again", ipi);

  fifo_memory(2);
  say("init_control", init_control(mfn_of(&control), OFFSET, 0));
  say("expand_array", expand_array(mfn_of(words)));
  take("what ports had pending before they had words");
  send(ipi);
  take("FIFO again");
}

void kmain(void) {
  /* Events come when we cause them: no tick. Ports 1 and 2 are xenstore's and the console's. */
  hypercall3(HC_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0);
  __atomic_fetch_or(&shared_info->evtchn_mask[0], 6, __ATOMIC_SEQ_CST);
  two_level();
  fifo();
  limits();
  reset_all();
  printf("events: done\n");
}
