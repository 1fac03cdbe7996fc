#include "guest.h"
#include "hypercall.h"

static struct xs_ring *ring(void) {
  static struct xs_ring *store;
  if (!store) store = mfn_to_virt(start_info->store_mfn);
  return store;
}

static void put(const void *data, u32 length) {
  struct xs_ring *r = ring();
  for (u32 i = 0; i < length; i++) {
    while (r->req_prod - READ_ONCE(r->req_cons) >= sizeof r->req) wait_for_event();
    r->req[r->req_prod % sizeof r->req] = ((const char *)data)[i];
    barrier();
    WRITE_ONCE(r->req_prod, r->req_prod + 1);
  }
}

/* Takes length bytes of the answer; what does not fit into size is dropped. */
static void take(void *data, u32 length, u32 size) {
  struct xs_ring *r = ring();
  for (u32 i = 0; i < length; i++) {
    while (READ_ONCE(r->rsp_prod) == r->rsp_cons) {
      event_send(start_info->store_evtchn);
      wait_for_event();
    }
    barrier();
    if (i < size) ((char *)data)[i] = r->rsp[r->rsp_cons % sizeof r->rsp];
    barrier();
    WRITE_ONCE(r->rsp_cons, r->rsp_cons + 1);
  }
}

static int request(u32 type, const char *path, char *buffer, u32 size) {
  static u32 id;
  struct xs_header header = {type, ++id, 0, (u32)strlen(path) + 1};
  put(&header, sizeof header);
  put(path, header.len);
  event_send(start_info->store_evtchn);
  take(&header, sizeof header, sizeof header);
  take(buffer, header.len, size - 1);
  event_send(start_info->store_evtchn);
  u32 length = header.len < size ? header.len : size - 1;
  buffer[length] = 0;
  return header.type == XS_ERROR ? -1 : (int)length;
}

int xenstore_read(const char *path, char *buffer, u32 size) { return request(XS_READ, path, buffer, size); }
int xenstore_list(const char *path, char *buffer, u32 size) { return request(XS_DIRECTORY, path, buffer, size); }
