/*
 * One of two ends of an event channel that wake each other in turns. The command line says which, who the other is (0 is
 * domain 0, if it plays), and how many round trips:
 *   serve N ROUNDS   answers each event
 *   call N ROUNDS    sends the first, and prints the nanoseconds that all took
 * The server tells its port in its own part of xenstore, data/pingpong. Both sleep in SCHEDOP_block in between, so a round
 * trip is two sends, two blocks and two upcalls with their iret.
 */
#include "../lib/guest.h"
#include "../lib/hypercall.h"

/* event_channel.h */
enum { EVTCHNOP_bind_interdomain = 0 };

static u32 digits(char *to, u64 n) {
  u32 length = n > 9 ? digits(to, n / 10) : 0;
  to[length] = (char)('0' + n % 10);
  return length + 1;
}

static u64 number(const char **text) {
  u64 n = 0;
  while (**text == ' ') ++*text;
  for (; **text >= '0' && **text <= '9'; ++*text) n = n * 10 + (u64)(**text - '0');
  return n;
}

/* Before anybody may send to it: its events stay pending until we listen. */
static void mask(u32 port) {
  __atomic_fetch_or(&shared_info->evtchn_mask[port / 64], 1ul << port % 64, __ATOMIC_SEQ_CST);
}

/* Offers a port to the other, in a node that everybody may read. */
static u32 offer(u16 peer) {
  struct { u16 dom, remote; u32 port; } channel = {DOMID_SELF, peer, 0};
  hypercall2(HC_event_channel_op, EVTCHNOP_alloc_unbound, ADDRESS(&channel));
  mask(channel.port);
  static const char path[] = "data/pingpong";
  char request[64], reply[64], self[8];
  memcpy(request, path, sizeof path);
  xenstore_request(XS_WRITE, 0, request, sizeof path + digits(request + sizeof path, channel.port), reply, sizeof reply);
  request[sizeof path] = 'r';
  u32 length = (u32)xenstore_read("domid", self, sizeof self) + 1;
  memcpy(request + sizeof path + 1, self, length);
  xenstore_request(XS_SET_PERMS, 0, request, sizeof path + 1 + length, reply, sizeof reply);
  return channel.port;
}

static u32 connect(u16 peer) {
  char path[64] = "/local/domain/", value[16];
  u32 length = 14 + digits(path + 14, peer);
  memcpy(path + length, "/data/pingpong", 15);
  while (xenstore_read(path, value, sizeof value) < 0) {
    time_alarm(time_system() + 1000000);
    wait_for_event();
  }
  const char *text = value;
  struct { u16 remote; u32 remote_port, port; } bind = {peer, (u32)number(&text), 0};
  if (hypercall2(HC_event_channel_op, EVTCHNOP_bind_interdomain, ADDRESS(&bind))) return 0;
  mask(bind.port);
  return bind.port;
}

/* From now on only events of this port wake us, so that each that wakes us is one of its. */
static void listen_only_to(u32 port) {
  struct vcpu_info *vcpu = &shared_info->vcpu_info[0];
  for (u32 word = 0; word < 64; word++) __atomic_store_n(&shared_info->evtchn_mask[word], ~0ul, __ATOMIC_SEQ_CST);
  WRITE_ONCE(vcpu->evtchn_upcall_pending, 0);
  WRITE_ONCE(vcpu->evtchn_pending_sel, 0);
  struct { u32 port; } unmask = {port};
  hypercall2(HC_event_channel_op, EVTCHNOP_unmask, ADDRESS(&unmask));
}

void kmain(void) {
  const char *text = (const char *)start_info->cmd_line;
  int serves = strncmp(text, "serve ", 6) == 0;
  if (!serves && strncmp(text, "call ", 5) != 0) {
    printf("Say on the command line: serve N ROUNDS or call N ROUNDS.\n");
    return;
  }
  text += serves ? 6 : 5;
  u16 peer = (u16)number(&text);
  u64 rounds = number(&text);
  events_init();
  u32 port = serves ? offer(peer) : connect(peer);
  if (port == 0) {
    printf("FAILED: no event channel to domain %u\n", peer);
    return;
  }
  listen_only_to(port);
  /* Who binds has an event at once. */
  if (!serves) wait_for_event();
  u64 start = time_system();
  for (u64 round = 0; round < rounds; round++) {
    if (!serves) event_send(port);
    wait_for_event();
    if (serves) event_send(port);
  }
  u64 end = time_system();
  printf("pingpong: %lu round trips in %lu ns\n", rounds, end - start);
}
