/* A guest to look around in: tells what it found, then takes commands. It sleeps while nobody types. */
#include "../lib/guest.h"
#include "../lib/hypercall.h"

static char text[2048];

/* Feature bits of submap 0 (features.h). */
static const char *const features[] = {
    "writable_page_tables", "writable_descriptor_tables", "auto_translated_physmap", "supervisor_mode_kernel",
    "pae_pgdir_above_4gb", "mmu_pt_update_preserve_ad", "highmem_assist", "gnttab_map_avail_bits",
    "hvm_callback_vector", "hvm_safe_pvclock", "hvm_pirqs", "dom0", "grant_map_identity", "memory_op_vnode_supported",
    "ARM_SMCCC_supported", "linux_rsdp_unrestricted", "not_direct_mapped", "direct_mapped",
};

static void say_version(void) {
  char extra[16] = "";
  s64 version = hypercall2(HC_xen_version, XENVER_version, 0);
  hypercall2(HC_xen_version, XENVER_extraversion, ADDRESS(extra));
  printf("Xen        %ld.%ld%s (%s)\n", version >> 16, version & 0xffff, extra, start_info->magic);
}

static void say_features(void) {
  struct xen_feature_info info = {0, 0};
  hypercall2(HC_xen_version, XENVER_get_features, ADDRESS(&info));
  text[0] = 0;
  if (hypercall2(HC_xen_version, XENVER_capabilities, ADDRESS(text)) >= 0) printf("guests     %s\n", text);
  printf("features   0x%x\n", info.submap);
  for (u32 bit = 0; bit < sizeof features / sizeof *features; bit++)
    if (info.submap >> bit & 1) printf("           %s\n", features[bit]);
}

static void say_range(const char *what, u64 from, u64 bytes) {
  u64 end = from + (bytes + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
  printf("  %016lx-%016lx %7lu KiB  %s\n", from, end - 1, (end - from) >> 10, what);
}

extern char image_start[], image_end[];

static void say_memory(void) {
  u16 self = DOMID_SELF;
  u64 pages = start_info->nr_pages;
  printf("memory     %lu pages, %lu MiB", pages, pages >> 8);
  s64 maximum = hypercall2(HC_memory_op, XENMEM_maximum_reservation, ADDRESS(&self));
  if (maximum > 0) printf(", at most %lu MiB", (u64)maximum >> 8);
  s64 top = hypercall2(HC_memory_op, XENMEM_maximum_ram_page, 0);
  if (top > 0) printf(", in a machine of %lu MiB", (u64)(top + 1) >> 8);
  printf("\n");
}

static void say_memory_map(void) {
  say_memory();
  say_range("this kernel", ADDRESS(image_start), (u64)(image_end - image_start));
  if (start_info->mod_len) say_range("ramdisk", start_info->mod_start, start_info->mod_len);
  say_range("pfn to mfn", start_info->mfn_list, start_info->nr_pages * 8);
  say_range("start info", ADDRESS(start_info) & -4096ul, PAGE_SIZE);
  say_range("xenstore ring", ADDRESS(mfn_to_virt(start_info->store_mfn)), PAGE_SIZE);
  say_range("console ring", ADDRESS(mfn_to_virt(start_info->console_mfn)), PAGE_SIZE);
  say_range("page tables", start_info->pt_base, start_info->nr_pt_frames * PAGE_SIZE);
  static struct e820_entry map[32];
  struct xen_memory_map op = {32, map};
  if (hypercall2(HC_memory_op, XENMEM_memory_map, ADDRESS(&op)) < 0) return;
  printf("pseudo-physical map\n");
  for (u32 i = 0; i < op.nr_entries; i++) {
    say_range(map[i].type == 1 ? "usable" : "reserved", map[i].addr, map[i].size);
  }
}

static void say_time(void) {
  u64 seconds = time_wallclock() / 1000000000;
  u64 days = seconds / 86400;
  /* Days to a date of the Gregorian calendar, with years that begin in March so that leap days come last. */
  u64 shifted = days + 719468;
  u64 era = shifted / 146097, day_of_era = shifted % 146097;
  u64 year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  u64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  u64 month = (5 * day_of_year + 2) / 153;
  u64 day = day_of_year - (153 * month + 2) / 5 + 1;
  month = month < 10 ? month + 3 : month - 9;
  u64 year = era * 400 + year_of_era + (month <= 2);
  printf("time       %04lu-%02lu-%02lu %02lu:%02lu:%02lu UTC\n", year, month, day, seconds / 3600 % 24,
         seconds / 60 % 60, seconds % 60);
}

static u64 booted;

static void say_uptime(void) {
  u64 now = time_system();
  printf("uptime     %lu.%03lu s (host: %lu.%03lu s)\n", (now - booted) / 1000000000,
         (now - booted) / 1000000 % 1000, now / 1000000000, now / 1000000 % 1000);
}

static void say_value(const char *label, const char *path) {
  int length = xenstore_read(path, text, sizeof text);
  printf("%-10s %s\n", label, length < 0 ? "(none)" : text);
}

/* The value of a node, and its children with theirs. */
static void say_xenstore(const char *path) {
  static char names[1024], child[512], home[32] = "/local/domain/";
  if (!*path) {
    if (xenstore_read("domid", home + 14, sizeof home - 14) < 0) return;
    path = home;
  }
  int length = xenstore_read(path, text, sizeof text);
  if (length < 0) {
    printf("%s: %s\n", path, text);
    return;
  }
  printf("%s = \"%s\"\n", path, text);
  length = xenstore_list(path, names, sizeof names);
  for (int i = 0; i < length; i += (int)strlen(names + i) + 1) {
    u64 prefix = strlen(path), rest = strlen(names + i);
    if (prefix + rest + 2 > sizeof child) continue;
    memcpy(child, path, prefix);
    if (prefix && path[prefix - 1] != '/') child[prefix++] = '/';
    memcpy(child + prefix, names + i, rest + 1);
    if (xenstore_read(child, text, sizeof text) < 0) printf("  %s: %s\n", names + i, text);
    else printf("  %s = \"%s\"\n", names + i, text);
  }
}

static void sleep_for(const char *seconds) {
  u64 n = 0;
  for (; *seconds >= '0' && *seconds <= '9' && n < 1000000; seconds++) n = n * 10 + (u64)(*seconds - '0');
  u64 until = time_system() + n * 1000000000;
  time_alarm(until);
  while (time_system() < until) wait_for_event();
}

static void say_help(void) {
  printf("help             this list\n"
         "features         what Xen offers\n"
         "mem              where things are in memory\n"
         "time             date and time\n"
         "sleep SECONDS    waits for a timer\n"
         "uptime           since this guest started\n"
         "xenstore [PATH]  a node and its children; without PATH this domain's home\n"
         "crash            an undefined instruction: Xen ends the domain\n"
         "reboot           asks for a restart\n"
         "poweroff         ends the guest; exit does the same\n");
}

/* If line is this command, its argument: "" without one. */
static const char *argument(const char *line, const char *command) {
  u64 length = strlen(command);
  if (strncmp(line, command, length) != 0) return 0;
  line += length;
  if (*line && *line != ' ') return 0;
  while (*line == ' ') line++;
  return line;
}

static void run(const char *line) {
  const char *word;
  if (!*line) return;
  if (argument(line, "help")) say_help();
  else if (argument(line, "features")) say_features();
  else if (argument(line, "mem")) say_memory_map();
  else if (argument(line, "time")) say_time();
  else if (argument(line, "uptime")) say_uptime();
  else if ((word = argument(line, "xenstore")) != 0) say_xenstore(word);
  else if ((word = argument(line, "sleep")) != 0) sleep_for(word);
  else if (argument(line, "crash")) {
    console_flush();
    __builtin_trap();
  } else if (argument(line, "reboot")) shutdown(SHUTDOWN_reboot);
  else if (argument(line, "poweroff") || argument(line, "exit")) shutdown(SHUTDOWN_poweroff);
  else printf("%s: there is no such command; try help\n", line);
}

static int next_key(void) {
  int c;
  while ((c = console_read()) < 0) wait_for_event();
  return c;
}

/* Line editing: backspace, Ctrl-U empties the line, Ctrl-C drops it, Ctrl-D on an empty one leaves. */
static void read_line(char *line, u32 size) {
  u32 length = 0;
  for (;;) {
    int c = next_key();
    if (c == '\r' || c == '\n') break;
    if (c == 3) {
      printf("^C");
      length = 0;
      break;
    }
    if (c == 4 && length == 0) {
      printf("exit\n");
      shutdown(SHUTDOWN_poweroff);
    }
    if (c == 8 || c == 127) {
      if (length > 0) length--, printf("\b \b");
    } else if (c == 21) {
      for (; length > 0; length--) printf("\b \b");
    } else if (c == 27) {
      /* An arrow or function key: its letter ends it. */
      if (next_key() == '[')
        do c = next_key();
        while (c < '@' || c > '~');
    } else if (c >= ' ' && length < size - 1) {
      line[length++] = (char)c;
      printf("%c", c);
    }
  }
  line[length] = 0;
  printf("\n");
}

void kmain(void) {
  events_init();
  booted = time_system();
  say_version();
  say_memory();
  say_time();
  say_value("name", "name");
  say_value("domid", "domid");
  say_value("target", "memory/target");
  printf("\nType help for what you can do here.\n");
  for (;;) {
    static char line[256];
    printf("demo> ");
    read_line(line, sizeof line);
    run(line);
  }
}
