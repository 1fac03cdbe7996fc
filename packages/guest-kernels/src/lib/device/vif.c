/* A front end for network interfaces (io/netif.h): one pair of rings, each frame in a page, no offloads. */
#include "../hypercall.h"
#include "device.h"

struct tx_request { u32 gref; u16 offset, flags, id, size; };
struct tx_response { u16 id; s16 status; };
struct rx_request { u16 id, pad; u32 gref; };
struct rx_response { u16 id, offset, flags; s16 status; };

enum { BUFFERS = 32 };
struct buffer {
  u8 *page;
  u32 ref;
  int is_used;
};

static struct xenbus_device device;
static struct front_ring tx, rx;
static u32 tx_ref, rx_ref, port;
static u8 pages[2 + 2 * BUFFERS][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static struct buffer to_send[BUFFERS], to_receive[BUFFERS];

static void offer(u16 id) {
  struct rx_request *request = ring_request(&rx);
  *request = (struct rx_request){id, 0, to_receive[id].ref};
}

static void set_up_rings(void) {
  u16 domid = device.backend_domid;
  ring_init(&tx, pages[0], sizeof(struct tx_request));
  ring_init(&rx, pages[1], sizeof(struct rx_response));
  tx_ref = grant_page(pages[0], domid, 0);
  rx_ref = grant_page(pages[1], domid, 0);
  port = event_channel_for(domid);
  for (u16 id = 0; id < BUFFERS; id++) {
    to_send[id] = (struct buffer){pages[2 + id], 0, 0};
    u8 *page = pages[2 + BUFFERS + id];
    to_receive[id] = (struct buffer){page, grant_page(page, domid, 0), 1};
    offer(id);
  }
  ring_push(&rx);
}

static int read_mac(u8 mac[6]) {
  char text[32];
  if (xenbus_text(device.path, "mac", text, sizeof text) < 17) return -1;
  for (u32 i = 0; i < 12; i++) {
    char c = text[i / 2 * 3 + i % 2] | 0x20;
    mac[i / 2] = (u8)(mac[i / 2] << 4 | (c >= 'a' ? c - 'a' + 10 : c & 15));
  }
  return 0;
}

int vif_open(u8 mac[6]) {
  if (xenbus_find(&device, "vif") < 0 || read_mac(mac) < 0) return -1;
  if (xenbus_wait(&device, XB_init_wait) >= XB_closing) return -1;
  set_up_rings();
  xenbus_write_number(device.path, "tx-ring-ref", tx_ref);
  xenbus_write_number(device.path, "rx-ring-ref", rx_ref);
  xenbus_write_number(device.path, "event-channel", port);
  xenbus_write_number(device.path, "request-rx-copy", 1);
  xenbus_write_number(device.path, "feature-rx-notify", 1);
  xenbus_write_number(device.path, "feature-no-csum-offload", 1);
  xenbus_switch(&device, XB_connected);
  return xenbus_wait(&device, XB_connected) == XB_connected ? 0 : -1;
}

static void take_sent(void) {
  for (const struct tx_response *response; (response = ring_response(&tx));) {
    struct buffer *buffer = &to_send[response->id % BUFFERS];
    if (buffer->is_used && grant_end(buffer->ref)) buffer->is_used = 0;
  }
}

int vif_send(const void *frame, u32 length) {
  take_sent();
  for (u16 id = 0; id < BUFFERS; id++) {
    struct buffer *buffer = &to_send[id];
    if (buffer->is_used) continue;
    buffer->ref = grant_page(buffer->page, device.backend_domid, 1);
    struct tx_request *request = buffer->ref ? ring_request(&tx) : 0;
    if (!request) return 0;
    buffer->is_used = 1;
    memcpy(buffer->page, frame, length);
    *request = (struct tx_request){buffer->ref, 0, 0, id, (u16)length};
    if (ring_push(&tx)) event_send(port);
    return 1;
  }
  return 0;
}

u32 vif_receive(void *frame, u32 size) {
  const struct rx_response *response = ring_response(&rx);
  if (!response) return 0;
  u16 id = response->id % BUFFERS;
  s32 length = response->status;
  /* We have not asked for frames in several pages, so a longer one is a backend's fault. */
  if (length < 0 || length > (s32)size || response->offset + length > PAGE_SIZE) length = 0;
  memcpy(frame, to_receive[id].page + response->offset, (u64)length);
  offer(id);
  if (ring_push(&rx)) event_send(port);
  return (u32)length;
}

int vif_is_up(void) {
  char path[160];
  while (xenstore_event_waits()) xenstore_next_event(path, sizeof path);
  return xenbus_backend_state(&device) == XB_connected;
}

void vif_close(void) {
  xenbus_switch(&device, XB_closing);
  xenbus_wait(&device, XB_closing);
  xenbus_switch(&device, XB_closed);
  xenbus_wait(&device, XB_closed);
  take_sent();
  for (u32 id = 0; id < BUFFERS; id++) grant_end(to_receive[id].ref);
  grant_end(tx_ref);
  grant_end(rx_ref);
}
