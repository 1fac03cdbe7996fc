/*
 * Two domains and everything that grants are for. The command line gives a role and the number of the other domain:
 *   grant N [v2]   grants pages to domain N, in entries of version 1 or 2, and afterwards looks at what became of them
 *   map N [v2]     maps, reads, writes, copies and unmaps what domain N grants, and gives it a page of its own
 * The granter tells the port of its event channel in its own part of xenstore; everything else is agreed on here.
 */
#include "../lib/guest.h"
#include "../lib/hypercall.h"

/* grant_table.h */
enum {
  GNTTABOP_map_grant_ref = 0, GNTTABOP_unmap_grant_ref = 1, GNTTABOP_setup_table = 2, GNTTABOP_transfer = 4,
  GNTTABOP_copy = 5, GNTTABOP_set_version = 8, GNTTABOP_get_status_frames = 9,
};
enum { GTF_permit_access = 1, GTF_accept_transfer = 2, GTF_readonly = 4, GTF_in_use = 0x18, GTF_sub_page = 0x100 };
enum { GNTMAP_host_map = 2, GNTMAP_readonly = 4, GNTMAP_contains_pte = 16 };
enum { GNTCOPY_source_gref = 1, GNTCOPY_dest_gref = 2 };
struct entry_v1 { u16 flags, domid; u32 frame; };
struct entry_v2 { u16 flags, domid, page_off, length; u64 frame; };
struct map_grant_ref { u64 host_addr; u32 flags, ref; u16 dom; s16 status; u32 handle; u64 dev_bus_addr; };
struct unmap_grant_ref { u64 host_addr, dev_bus_addr; u32 handle; s16 status; };
struct setup_table { u16 dom; u32 nr_frames; s16 status; u64 *frame_list; };
struct get_status_frames { u32 nr_frames; u16 dom; s16 status; u64 *frame_list; };
struct transfer { u64 mfn; u16 domid; u32 ref; s16 status; };
struct copy_end { u64 ref_or_frame; u16 domid, offset; };
struct copy { struct copy_end source, dest; u16 len, flags; s16 status; };

/* event_channel.h, memory.h */
enum { EVTCHNOP_bind_interdomain = 0 };
enum { XENMEM_decrease_reservation = 1 };
struct reservation { u64 *extents, nr_extents; u32 order, flags; u16 domid; };

/* What the two agree on: a page to write to, one to read, a part of one (version 2), and an entry that takes a page. */
enum { REF_WRITE = 8, REF_READ = 9, REF_PART = 10, REF_TAKE = 11, PART_START = 0x100, PART_LENGTH = 0x40 };
/* In the page to write to: where the other's copy goes, and the word by which it says that it has finished. */
enum { COPIED_AT = 2048, DONE_AT = 4092 };

static char pages[4][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u8 table[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u16 status_words[PAGE_SIZE / 2] __attribute__((aligned(PAGE_SIZE)));
static u16 peer;
static int version = 1;
static int failures;

static void check(const char *what, s64 got, s64 expected) {
  printf("%s: %ld\n", what, got);
  if (got == expected) return;
  printf("FAILED %s: %ld was expected\n", what, expected);
  failures++;
}

static u64 pfn_of(const void *address) { return (ADDRESS(address) - VIRT_BASE) / PAGE_SIZE; }
static u64 mfn_of(const void *address) { return ((const u64 *)start_info->mfn_list)[pfn_of(address)]; }
static s64 grant_op(u32 command, void *op) { return hypercall3(HC_grant_table_op, command, ADDRESS(op), 1); }
/* Present, writable, user; 0: nothing is mapped there any more. */
static s64 remap(void *address, u64 mfn) {
  return hypercall3(HC_update_va_mapping, ADDRESS(address), mfn ? mfn << 12 | 7 : 0, UVMF_INVLPG);
}

/* ── The granter ── */

/* The entry is complete before its flags make it valid. */
static void grant(u32 ref, u16 flags, u64 frame, u16 start, u16 length) {
  volatile u16 *to;
  if (version == 2) {
    struct entry_v2 *entry = (struct entry_v2 *)table + ref;
    *entry = (struct entry_v2){0, peer, start, length, frame};
    to = &entry->flags;
  } else {
    struct entry_v1 *entry = (struct entry_v1 *)table + ref;
    *entry = (struct entry_v1){0, peer, (u32)frame};
    to = &entry->flags;
  }
  barrier();
  *to = flags;
}

static u16 flags_of(u32 ref) {
  return version == 2 ? ((volatile struct entry_v2 *)table)[ref].flags : ((volatile struct entry_v1 *)table)[ref].flags;
}
static u64 frame_of(u32 ref) {
  return version == 2 ? ((volatile struct entry_v2 *)table)[ref].frame : ((volatile struct entry_v1 *)table)[ref].frame;
}
/* Version 1 shows a use in the entry itself. */
static u16 in_use(u32 ref) { return (version == 2 ? ((volatile u16 *)status_words)[ref] : flags_of(ref)) & GTF_in_use; }

static void open_table(void) {
  u64 frame = 0;
  u32 wanted = (u32)version;
  check("set_version", grant_op(GNTTABOP_set_version, &wanted), 0);
  struct setup_table setup = {DOMID_SELF, 1, 0, &frame};
  check("setup_table", grant_op(GNTTABOP_setup_table, &setup) ?: setup.status, 0);
  remap(table, frame);
  if (version == 1) return;
  struct get_status_frames status = {1, DOMID_SELF, 0, &frame};
  check("get_status_frames", grant_op(GNTTABOP_get_status_frames, &status) ?: status.status, 0);
  remap(status_words, frame);
}

/* Makes room for the page that the other gives: we may not have more than at the start. */
static void make_room(void) {
  u64 mfn = mfn_of(pages[3]);
  struct reservation op = {&mfn, 1, 0, 0, DOMID_SELF};
  remap(pages[3], 0);
  check("decrease_reservation", hypercall2(HC_memory_op, XENMEM_decrease_reservation, ADDRESS(&op)), 1);
}

static u32 digits(char *to, u64 n) {
  u32 length = n > 9 ? digits(to, n / 10) : 0;
  to[length] = (char)('0' + n % 10);
  return length + 1;
}

/* Writes a number into our part of xenstore, for everybody to read. */
static void publish(const char *path, u32 number) {
  char request[64], reply[64];
  u32 length = (u32)strlen(path) + 1;
  memcpy(request, path, length);
  xenstore_request(XS_WRITE, 0, request, length + digits(request + length, number), reply, sizeof reply);
  char self[8];
  xenstore_read("domid", self, sizeof self);
  request[length] = 'r';
  memcpy(request + length + 1, self, strlen(self) + 1);
  check("published", xenstore_request(XS_SET_PERMS, 0, request, length + 2 + (u32)strlen(self), reply, sizeof reply), 3);
}

static void granter(void) {
  struct { u16 dom, remote; u32 port; } channel = {DOMID_SELF, peer, 0};
  hypercall2(HC_event_channel_op, EVTCHNOP_alloc_unbound, ADDRESS(&channel));
  open_table();
  memcpy(pages[0], "for you to write to", 20);
  memcpy(pages[1], "for you to read", 16);
  memcpy(pages[2] + PART_START, "a part of a page", 17);
  make_room();
  grant(REF_WRITE, GTF_permit_access, mfn_of(pages[0]), 0, 0);
  grant(REF_READ, GTF_permit_access | GTF_readonly, mfn_of(pages[1]), 0, 0);
  if (version == 2) grant(REF_PART, GTF_permit_access | GTF_sub_page, mfn_of(pages[2]), PART_START, PART_LENGTH);
  grant(REF_TAKE, GTF_accept_transfer, pfn_of(pages[3]), 0, 0);
  publish("data/grants", channel.port);

  while (!READ_ONCE(*(u32 *)(pages[0] + DONE_AT))) wait_for_event();
  printf("written: %s\ncopied: %s\n", pages[0], pages[0] + COPIED_AT);
  check("in use", in_use(REF_WRITE) | in_use(REF_READ), 0);
  check("transfer", flags_of(REF_TAKE), GTF_accept_transfer | 12);
  check("its page", remap(pages[3], frame_of(REF_TAKE)), 0);
  printf("given: %s\n", pages[3]);
}

/* ── The mapper ── */

static struct map_grant_ref map(u64 where, u32 flags, u32 ref) {
  struct map_grant_ref op = {where, flags, ref, peer, 0, 0, 0};
  grant_op(GNTTABOP_map_grant_ref, &op);
  return op;
}

static s16 unmap(u64 where, u32 handle) {
  struct unmap_grant_ref op = {where, 0, handle, 0};
  grant_op(GNTTABOP_unmap_grant_ref, &op);
  return op.status;
}

static s16 copy_from(u32 ref, u16 offset, void *to, u16 length) {
  struct copy op = {{ref, peer, offset}, {mfn_of(to), DOMID_SELF, (u16)(ADDRESS(to) % PAGE_SIZE)}, length, GNTCOPY_source_gref, 0};
  grant_op(GNTTABOP_copy, &op);
  return op.status;
}

static s16 copy_to(u32 ref, u16 offset, const void *from, u16 length) {
  struct copy op = {{mfn_of(from), DOMID_SELF, (u16)(ADDRESS(from) % PAGE_SIZE)}, {ref, peer, offset}, length, GNTCOPY_dest_gref, 0};
  grant_op(GNTTABOP_copy, &op);
  return op.status;
}

/* Machine address of the page-table entry of one of our pages. */
static u64 entry_address(const void *address) {
  const u64 *entries = (const u64 *)start_info->pt_base;
  u64 mfn = 0;
  for (int shift = 39; shift >= 21; shift -= 9) {
    mfn = entries[ADDRESS(address) >> shift & 511] >> 12 & 0xfffffffffful;
    entries = mfn_to_virt(mfn);
  }
  return mfn * PAGE_SIZE + (ADDRESS(address) >> 12 & 511) * 8;
}

static u32 connect(void) {
  char path[64] = "/local/domain/", value[16];
  u32 length = 14 + digits(path + 14, peer);
  memcpy(path + length, "/data/grants", 13);
  while (xenstore_read(path, value, sizeof value) < 0) {
    time_alarm(time_system() + 10000000);
    wait_for_event();
  }
  struct { u16 remote; u32 remote_port, port; } bind = {peer, 0, 0};
  for (const char *c = value; *c; c++) bind.remote_port = bind.remote_port * 10 + (u32)(*c - '0');
  check("connected", hypercall2(HC_event_channel_op, EVTCHNOP_bind_interdomain, ADDRESS(&bind)), 0);
  return bind.port;
}

static void mapper(void) {
  static char own[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
  u32 port = connect();
  u64 read_at = entry_address(pages[1]);
  struct map_grant_ref to_write = map(ADDRESS(pages[0]), GNTMAP_host_map, REF_WRITE);
  struct map_grant_ref to_read = map(read_at, GNTMAP_host_map | GNTMAP_readonly | GNTMAP_contains_pte, REF_READ);
  check("map", to_write.status, 0);
  check("map by entry", to_read.status, 0);
  check("map to write what is for reading", map(ADDRESS(own), GNTMAP_host_map, REF_READ).status, -1);
  check("map what is not granted", map(ADDRESS(own), GNTMAP_host_map, 100).status, -1);
  printf("read: %s\nread: %s\n", pages[0], pages[1]);
  memcpy(pages[0], "the mapper was here", 20);
  check("unmap", unmap(ADDRESS(pages[0]), to_write.handle), 0);
  check("unmap by entry", unmap(read_at, to_read.handle), 0);
  check("unmap again", unmap(ADDRESS(pages[0]), to_write.handle), -4);

  check("copy", copy_from(REF_READ, 8, own, 8), 0);
  printf("copied: %s\n", own);
  check("copy to what is for reading", copy_to(REF_READ, 0, own, 8), -1);
  check("copy beyond the page", copy_from(REF_READ, PAGE_SIZE - 4, own, 8), -10);
  if (version == 2) {
    check("copy a part", copy_from(REF_PART, PART_START, own, PART_LENGTH), 0);
    printf("copied: %s\n", own);
    check("copy beyond the part", copy_from(REF_PART, PART_START, own, PART_LENGTH + 1), -1);
    check("map a part", map(ADDRESS(own), GNTMAP_host_map, REF_PART).status, -1);
  }
  memcpy(own, "by a grant copy", 16);
  check("copy back", copy_to(REF_WRITE, COPIED_AT, own, 16), 0);

  memcpy(pages[2], "a page of the mapper's", 23);
  struct transfer gift = {mfn_of(pages[2]), peer, REF_TAKE, 0};
  check("transfer of a mapped page", grant_op(GNTTABOP_transfer, &gift) ?: gift.status, -9);
  remap(pages[2], 0);
  check("transfer", grant_op(GNTTABOP_transfer, &gift) ?: gift.status, 0);

  *(u32 *)own = 1;
  copy_to(REF_WRITE, DONE_AT, own, 4);
  event_send(port);
}

void kmain(void) {
  const char *line = (const char *)start_info->cmd_line;
  int grants = strncmp(line, "grant ", 6) == 0;
  if (!grants && strncmp(line, "map ", 4) != 0) {
    printf("Say on the command line: grant N or map N, and v2 for version 2.\n");
    return;
  }
  const char *rest = line + (grants ? 6 : 4);
  for (; *rest >= '0' && *rest <= '9'; rest++) peer = (u16)(peer * 10 + (*rest - '0'));
  if (strcmp(rest, " v2") == 0) version = 2;
  events_init();
  if (grants) granter();
  else mapper();
  printf(failures ? "grants: %d failures\n" : "grants: ok\n", failures);
}
