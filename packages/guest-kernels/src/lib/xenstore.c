#include "guest.h"
#include "hypercall.h"

static struct xs_ring *ring(void) {
  static struct xs_ring *store;
  if (!store) store = mfn_to_virt(start_info->store_mfn);
  return store;
}

/* Watch events that came while something else was awaited: "path\0token\0" each, the oldest first. */
static char events[8][256];
static u32 first_event, last_event;

static void put(const void *data, u32 length) {
  struct xs_ring *r = ring();
  for (u32 i = 0; i < length; i++) {
    while (r->req_prod - READ_ONCE(r->req_cons) >= sizeof r->req) {
      event_send(start_info->store_evtchn);
      wait_for_event();
    }
    r->req[r->req_prod % sizeof r->req] = ((const char *)data)[i];
    barrier();
    WRITE_ONCE(r->req_prod, r->req_prod + 1);
  }
}

/* Takes length bytes of what comes; what does not fit into size is dropped. */
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

/* Takes a message of the server's. An event is kept, and 0 returned; beyond eight, the oldest is forgotten. */
static int receive(struct xs_header *header, char *buffer, u32 size) {
  take(header, sizeof *header, sizeof *header);
  int is_event = header->type == XS_WATCH_EVENT;
  if (is_event) {
    if (last_event - first_event == 8) first_event++;
    buffer = events[last_event++ % 8];
    size = sizeof events[0];
  }
  take(buffer, header->len, size - 1);
  buffer[header->len < size ? header->len : size - 1] = 0;
  return !is_event;
}

int xenstore_request(u32 type, u32 transaction, const void *payload, u32 length, char *buffer, u32 size) {
  static u32 id;
  struct xs_header header = {type, ++id, transaction, length};
  put(&header, sizeof header);
  put(payload, length);
  event_send(start_info->store_evtchn);
  while (!receive(&header, buffer, size)) continue;
  event_send(start_info->store_evtchn);
  if (header.type == XS_ERROR) return -1;
  return (int)(header.len < size ? header.len : size - 1);
}

int xenstore_read(const char *path, char *buffer, u32 size) {
  return xenstore_request(XS_READ, 0, path, (u32)strlen(path) + 1, buffer, size);
}

int xenstore_list(const char *path, char *buffer, u32 size) {
  return xenstore_request(XS_DIRECTORY, 0, path, (u32)strlen(path) + 1, buffer, size);
}

int xenstore_next_event(char *path, u32 size) {
  struct xs_header header;
  char reply[8];
  /* Nothing was asked for, so what comes is an event. */
  while (first_event == last_event) receive(&header, reply, sizeof reply);
  event_send(start_info->store_evtchn);
  const char *event = events[first_event++ % 8];
  u32 length = (u32)strlen(event);
  if (length >= size) length = size - 1;
  memcpy(path, event, length);
  path[length] = 0;
  return (int)length;
}

int xenstore_event_waits(void) { return first_event != last_event || READ_ONCE(ring()->rsp_prod) != ring()->rsp_cons; }

int xenstore_reconnect(void) {
  struct xs_ring *r = ring();
  if (!(READ_ONCE(r->server_features) & XENSTORE_SERVER_FEATURE_RECONNECTION)) return -1;
  WRITE_ONCE(r->connection, XENSTORE_RECONNECT);
  event_send(start_info->store_evtchn);
  while (READ_ONCE(r->connection) != XENSTORE_CONNECTED) wait_for_event();
  first_event = last_event;
  return 0;
}
