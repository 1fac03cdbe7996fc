#include "guest.h"
#include "hypercall.h"

void event_upcall(void);
void failsafe_callback(void);

void events_init(void) {
  hypercall3(HC_set_callbacks, ADDRESS(event_upcall), ADDRESS(failsafe_callback), 0);
}

void event_send(u32 port) {
  struct evtchn_send op = {port};
  hypercall2(HC_event_channel_op, EVTCHNOP_send, ADDRESS(&op));
}

/* Only wakes: whoever waits looks at its ring or at the clock. */
void handle_events(void) {
  struct vcpu_info *vcpu = &shared_info->vcpu_info[0];
  WRITE_ONCE(vcpu->evtchn_upcall_pending, 0);
  u64 words = __atomic_exchange_n(&vcpu->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
  while (words) {
    u64 word = (u64)__builtin_ctzl(words);
    words &= words - 1;
    /* What is masked stays pending: whoever masked a port looks at it later. */
    __atomic_fetch_and(&shared_info->evtchn_pending[word], READ_ONCE(shared_info->evtchn_mask[word]), __ATOMIC_SEQ_CST);
  }
}

/* Events stay masked outside of this call, so none is lost between looking for work and sleeping. */
void wait_for_event(void) {
  hypercall2(HC_sched_op, SCHEDOP_block, 0);
  WRITE_ONCE(shared_info->vcpu_info[0].evtchn_upcall_mask, 1);
  barrier();
}
