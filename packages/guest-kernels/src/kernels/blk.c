/*
 * A small front end of a disk. Reads the first 64 KiB and the last sector, then writes the first 64 KiB anew, unless it is
 * read-only, reads them back, and reads beyond the end, which has to fail. Says a checksum of each.
 */
#include "../lib/device/device.h"

enum { SECTORS = 8, PAGES = 16 };
static u8 page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

/* FNV-1a, of 64 bits. */
static u64 hash(u64 so_far, const u8 *data, u32 length) {
  for (u32 i = 0; i < length; i++) so_far = (so_far ^ data[i]) * 0x100000001b3ul;
  return so_far;
}

static void read_back(const char *what) {
  u64 sum = 0xcbf29ce484222325ul;
  int status = 0;
  for (u32 i = 0; i < PAGES && !status; i++) {
    status = vbd_transfer(VBD_read, i * SECTORS, SECTORS, page);
    sum = hash(sum, page, PAGE_SIZE);
  }
  printf("%s: %016lx, status %d\n", what, sum, status);
}

static int write_anew(void) {
  for (u32 i = 0; i < PAGES; i++) {
    for (u32 at = 0; at < PAGE_SIZE; at++) page[at] = (u8)(at * 7 + i);
    int status = vbd_transfer(VBD_write, i * SECTORS, SECTORS, page);
    if (status) return status;
  }
  return vbd_transfer(VBD_flush, 0, 0, 0);
}

void kmain(void) {
  struct vbd disk;
  events_init();
  if (vbd_open(&disk) < 0) {
    printf("blk: there is no disk\n");
    return;
  }
  printf("disk: %lu sectors of %u bytes%s\n", disk.sectors, disk.sector_size, disk.info & VBD_readonly ? ", read-only" : "");
  read_back("read");
  printf("last sector: status %d\n", vbd_transfer(VBD_read, disk.sectors - 1, 1, page));
  printf("write and flush: status %d\n", write_anew());
  read_back("read again");
  printf("beyond the end: status %d\n", vbd_transfer(VBD_read, disk.sectors, 1, page));
  vbd_close();
  printf("blk: done\n");
}
