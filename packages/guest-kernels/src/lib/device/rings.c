#include "../hypercall.h"
#include "device.h"

void ring_init(struct front_ring *ring, void *page, u32 slot_size) {
  u32 count = 1;
  while (count * 2 * slot_size <= sizeof ring->shared->slots) count *= 2;
  *ring = (struct front_ring){page, slot_size, count, 0, 0};
  memset(page, 0, PAGE_SIZE);
  ring->shared->req_event = ring->shared->rsp_event = 1;
}

static void *slot(const struct front_ring *ring, u32 index) {
  return ring->shared->slots + index % ring->count * ring->slot_size;
}

void *ring_request(struct front_ring *ring) {
  if (ring->req_prod - ring->rsp_cons == ring->count) return 0;
  return slot(ring, ring->req_prod++);
}

int ring_push(struct front_ring *ring) {
  struct shared_ring *shared = ring->shared;
  u32 before = shared->req_prod;
  barrier();
  WRITE_ONCE(shared->req_prod, ring->req_prod);
  /* Either the backend sees the request before it sleeps, or we see what it has written before that. */
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return ring->req_prod - READ_ONCE(shared->req_event) < ring->req_prod - before;
}

const void *ring_response(struct front_ring *ring) {
  struct shared_ring *shared = ring->shared;
  if (READ_ONCE(shared->rsp_prod) == ring->rsp_cons) {
    WRITE_ONCE(shared->rsp_event, ring->rsp_cons + 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (READ_ONCE(shared->rsp_prod) == ring->rsp_cons) return 0;
  }
  barrier();
  return slot(ring, ring->rsp_cons++);
}
