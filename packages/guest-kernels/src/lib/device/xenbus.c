#include "../hypercall.h"
#include "device.h"

static void join(char *path, u32 size, const char *directory, const char *name) {
  u64 first = strlen(directory), second = strlen(name);
  if (first + second + 2 > size) {
    path[0] = 0;
    return;
  }
  memcpy(path, directory, first);
  path[first] = '/';
  memcpy(path + first + 1, name, second + 1);
}

int xenbus_text(const char *directory, const char *name, char *value, u32 size) {
  char path[192];
  join(path, sizeof path, directory, name);
  return xenstore_read(path, value, size);
}

u64 xenbus_number(const char *directory, const char *name, u64 missing) {
  char text[32];
  if (xenbus_text(directory, name, text, sizeof text) < 1) return missing;
  u64 value = 0;
  for (const char *c = text; *c >= '0' && *c <= '9'; c++) value = value * 10 + (u64)(*c - '0');
  return value;
}

void xenbus_write_number(const char *directory, const char *name, u64 value) {
  char payload[224], reply[32], digits[20];
  join(payload, 192, directory, name);
  u32 length = (u32)strlen(payload) + 1, count = 0;
  do digits[count++] = (char)('0' + value % 10);
  while (value /= 10);
  while (count) payload[length++] = digits[--count];
  xenstore_request(XS_WRITE, 0, payload, length, reply, sizeof reply);
}

void xenbus_switch(const struct xenbus_device *device, enum xenbus_state state) {
  xenbus_write_number(device->path, "state", state);
}

int xenbus_find(struct xenbus_device *device, const char *type) {
  char directory[32], names[64];
  join(directory, sizeof directory, "device", type);
  if (xenstore_list(directory, names, sizeof names) < 1) return -1;
  join(device->path, sizeof device->path, directory, names);
  if (xenbus_text(device->path, "backend", device->backend, sizeof device->backend) < 1) return -1;
  device->backend_domid = (u16)xenbus_number(device->path, "backend-id", 0);
  char watch[160], reply[32];
  join(watch, 150, device->backend, "state");
  u32 length = (u32)strlen(watch) + 1;
  memcpy(watch + length, "state", 6);
  return xenstore_request(XS_WATCH, 0, watch, length + 6, reply, sizeof reply);
}

enum xenbus_state xenbus_backend_state(const struct xenbus_device *device) {
  return (enum xenbus_state)xenbus_number(device->backend, "state", XB_closed);
}

enum xenbus_state xenbus_wait(const struct xenbus_device *device, enum xenbus_state state) {
  char path[160];
  for (;;) {
    enum xenbus_state now = xenbus_backend_state(device);
    if (now >= state) return now;
    xenstore_next_event(path, sizeof path);
  }
}
