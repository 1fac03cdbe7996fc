/* Devices of the split model, for the kernels that want them: grants, rings, xenbus, and two front ends. */
#pragma once
#include "../guest.h"

/* Grants, in entries of version 1: the reference of a page, for domid. 0: none is left. */
u32 grant_page(const void *page, u16 domid, int readonly);
/* Takes it back. Returns 0 if the other domain still uses the page. */
int grant_end(u32 ref);
/* A new event channel that domid may bind: its port. */
u32 event_channel_for(u16 domid);

/* The front end's side of a ring in one page (io/ring.h). */
struct shared_ring {
  u32 req_prod, req_event, rsp_prod, rsp_event;
  u8 pad[48], slots[PAGE_SIZE - 64];
};
struct front_ring {
  struct shared_ring *shared;
  u32 slot_size, count, req_prod, rsp_cons;
};
void ring_init(struct front_ring *ring, void *page, u32 slot_size);
/* Where the next request goes, or 0 if the ring is full. */
void *ring_request(struct front_ring *ring);
/* Lets the backend see the requests. Returns whether it wants an event. */
int ring_push(struct front_ring *ring);
/* The next response, or 0; then an event comes with the next one. */
const void *ring_response(struct front_ring *ring);

/* xenbus.h */
enum xenbus_state { XB_unknown, XB_initialising, XB_init_wait, XB_initialised, XB_connected, XB_closing, XB_closed };
struct xenbus_device {
  char path[64], backend[128];
  u16 backend_domid;
};
/* The first device of a type that the toolstack gave us. Returns -1 if there is none. */
int xenbus_find(struct xenbus_device *device, const char *type);
/* Numbers that are not there are `missing`. */
u64 xenbus_number(const char *directory, const char *name, u64 missing);
int xenbus_text(const char *directory, const char *name, char *value, u32 size);
void xenbus_write_number(const char *directory, const char *name, u64 value);
void xenbus_switch(const struct xenbus_device *device, enum xenbus_state state);
enum xenbus_state xenbus_backend_state(const struct xenbus_device *device);
/* Waits until the backend is in this state or a later one, and gives that. */
enum xenbus_state xenbus_wait(const struct xenbus_device *device, enum xenbus_state state);

/* A network interface; -1: there is none, or its backend does not want us. It has one frame in a page. */
int vif_open(u8 mac[6]);
/* Returns 0 if there is no room now. */
int vif_send(const void *frame, u32 length);
/* The length of the next frame, or 0. */
u32 vif_receive(void *frame, u32 size);
/* Whether the backend is still there. */
int vif_is_up(void);
void vif_close(void);

/* A disk. Its sectors have 512 bytes; a transfer is of 1 to 8 of them. */
struct vbd {
  u64 sectors;
  u32 sector_size, info;
};
enum { VBD_cdrom = 1, VBD_removable = 2, VBD_readonly = 4 };
enum vbd_operation { VBD_read, VBD_write, VBD_barrier, VBD_flush };
int vbd_open(struct vbd *disk);
/* Waits until it is done. Returns a status: 0, -1 error, -2 not supported. */
int vbd_transfer(enum vbd_operation operation, u64 sector, u32 sectors, void *page);
void vbd_close(void);
