/* A front end for disks (io/blkif.h): one ring, one request at a time. */
#include "../hypercall.h"
#include "device.h"

struct segment { u32 gref; u8 first, last; u16 pad; };
struct request {
  u8 operation, segments;
  u16 handle;
  u64 id, sector;
  struct segment segment[11];
};
struct response { u64 id; u8 operation; s16 status; };
_Static_assert(sizeof(struct request) == 112, "blkif_request of 64-bit guests");

static struct xenbus_device device;
static struct front_ring ring;
static u8 ring_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u32 ring_ref, port;
static u16 handle;

int vbd_open(struct vbd *disk) {
  if (xenbus_find(&device, "vbd") < 0 || xenbus_wait(&device, XB_init_wait) >= XB_closing) return -1;
  handle = (u16)xenbus_number(device.path, "virtual-device", 0);
  ring_init(&ring, ring_page, sizeof(struct request));
  ring_ref = grant_page(ring_page, device.backend_domid, 0);
  port = event_channel_for(device.backend_domid);
  xenbus_write_number(device.path, "ring-ref", ring_ref);
  xenbus_write_number(device.path, "event-channel", port);
  char protocol[128], reply[8];
  u32 length = (u32)strlen(device.path);
  memcpy(protocol, device.path, length);
  memcpy(protocol + length, "/protocol\0x86_64-abi", 20);
  xenstore_request(XS_WRITE, 0, protocol, length + 20, reply, sizeof reply);
  xenbus_switch(&device, XB_initialised);
  if (xenbus_wait(&device, XB_connected) != XB_connected) return -1;
  disk->sectors = xenbus_number(device.backend, "sectors", 0);
  disk->sector_size = (u32)xenbus_number(device.backend, "sector-size", 512);
  disk->info = (u32)xenbus_number(device.backend, "info", 0);
  xenbus_switch(&device, XB_connected);
  return 0;
}

int vbd_transfer(enum vbd_operation operation, u64 sector, u32 sectors, void *page) {
  static u64 id;
  struct request *request = ring_request(&ring);
  if (!request) return -1;
  u32 ref = sectors ? grant_page(page, device.backend_domid, operation == VBD_write) : 0;
  *request = (struct request){(u8)operation, sectors != 0, handle, ++id, sector, {{ref, 0, (u8)(sectors - 1), 0}}};
  if (ring_push(&ring)) event_send(port);
  const struct response *response;
  while (!(response = ring_response(&ring))) wait_for_event();
  int status = response->id == id ? response->status : -1;
  if (ref) grant_end(ref);
  return status;
}

void vbd_close(void) {
  xenbus_switch(&device, XB_closing);
  xenbus_wait(&device, XB_closing);
  xenbus_switch(&device, XB_closed);
  xenbus_wait(&device, XB_closed);
  grant_end(ring_ref);
}
