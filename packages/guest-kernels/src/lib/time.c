#include "guest.h"
#include "hypercall.h"

static u64 read_tsc(void) {
  u32 low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (u64)high << 32 | low;
}

/* An odd version, or one that changed meanwhile, means that Xen was writing: read again. */
u64 time_system(void) {
  const struct vcpu_time_info *time = &shared_info->vcpu_info[0].time;
  u32 version;
  u64 now;
  do {
    version = READ_ONCE(time->version) & ~1u;
    barrier();
    u64 ticks = read_tsc() - time->tsc_timestamp;
    ticks = time->tsc_shift >= 0 ? ticks << time->tsc_shift : ticks >> -time->tsc_shift;
    now = time->system_time + (u64)((unsigned __int128)ticks * time->tsc_to_system_mul >> 32);
    barrier();
  } while (READ_ONCE(time->version) != version);
  return now;
}

u64 time_wallclock(void) {
  u32 version;
  u64 start;
  do {
    version = READ_ONCE(shared_info->wc_version) & ~1u;
    barrier();
    u64 seconds = (u64)shared_info->wc_sec_hi << 32 | shared_info->wc_sec;
    start = seconds * 1000000000ul + shared_info->wc_nsec;
    barrier();
  } while (READ_ONCE(shared_info->wc_version) != version);
  return start + time_system();
}

void time_alarm(u64 system_time) {
  static u32 port;
  if (!port) {
    struct evtchn_bind_virq op = {VIRQ_TIMER, 0, 0};
    hypercall2(HC_event_channel_op, EVTCHNOP_bind_virq, ADDRESS(&op));
    port = op.port;
  }
  hypercall1(HC_set_timer_op, system_time);
}
