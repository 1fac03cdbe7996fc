/*
 * Uses xenstore in every way that a guest does: values, lists, errors, permissions, watches, a transaction that meets a
 * conflict, a value that does not fit into the ring at once, resets. With "wait" on the command line it does what
 * toolstacks expect of a guest instead: it waits for an order in control/shutdown, acknowledges it and powers off.
 */
#include "../lib/guest.h"
#include "../lib/hypercall.h"

static char text[4097];

/* A request whose payload is strings, each with its NUL: REQUEST(XS_READ, 0, "path\0"). The last NUL is the literal's. */
#define REQUEST(type, transaction, payload) \
  xenstore_request(type, transaction, payload, sizeof(payload) - 1, text, sizeof text)
/* WRITE has no NUL behind the value. */
#define WRITE(transaction, path, value) REQUEST(XS_WRITE, transaction, path "\0" value)

/* Says what came of something: a reply, or an error by its name. The NULs between strings show as blanks. */
static void say(const char *what, int length) {
  if (length > 0 && !text[length - 1]) length--;
  for (int i = 0; i < length; i++)
    if (!text[i]) text[i] = ' ';
  printf("%-28s %s\n", what, text);
}

static void say_event(const char *what) {
  xenstore_next_event(text, sizeof text);
  printf("%-28s %s\n", what, text);
}

static void values_and_lists(void) {
  say("write data/greeting", WRITE(0, "data/greeting", "hello"));
  say("write data/list/two", WRITE(0, "data/list/two", "2"));
  say("make data/list/one", REQUEST(XS_MKDIR, 0, "data/list/one\0"));
  say("read data/greeting", REQUEST(XS_READ, 0, "data/greeting\0"));
  say("list data/list", REQUEST(XS_DIRECTORY, 0, "data/list\0"));
  say("path of domain 7", REQUEST(XS_GET_DOMAIN_PATH, 0, "7\0"));
  say("read data/nothing", REQUEST(XS_READ, 0, "data/nothing\0"));
  say("read another's", REQUEST(XS_READ, 0, "/local/domain/0/name\0"));
  say("remove data/list", REQUEST(XS_RM, 0, "data/list\0"));
  say("list data", REQUEST(XS_DIRECTORY, 0, "data\0"));
}

static void permissions(void) {
  say("permissions", REQUEST(XS_GET_PERMS, 0, "data/greeting\0"));
  /* Our own node, so we may say who else reads it; giving it away is for domain 0. */
  static char domid[8], payload[64];
  xenstore_read("domid", domid, sizeof domid);
  u32 length = sizeof "data/greeting";
  memcpy(payload, "data/greeting", length);
  payload[length++] = 'n';
  memcpy(payload + length, domid, strlen(domid) + 1);
  length += (u32)strlen(domid) + 1;
  memcpy(payload + length, "r0", 3);
  length += 3;
  say("let domain 0 read", xenstore_request(XS_SET_PERMS, 0, payload, length, text, sizeof text));
  say("permissions", REQUEST(XS_GET_PERMS, 0, "data/greeting\0"));
  say("give it to domain 0", REQUEST(XS_SET_PERMS, 0, "data/greeting\0n0\0"));
}

static void watches(void) {
  say("watch data", REQUEST(XS_WATCH, 0, "data\0token\0"));
  say_event("event");
  say("write data/a/b", WRITE(0, "data/a/b", "x"));
  say_event("event");
  say("remove data/a", REQUEST(XS_RM, 0, "data/a\0"));
  say_event("event");
  say("watch data again", REQUEST(XS_WATCH, 0, "data\0token\0"));
  say("unwatch data", REQUEST(XS_UNWATCH, 0, "data\0token\0"));
  say("write data/a", WRITE(0, "data/a", "x"));
  printf("%-28s %s\n", "event", xenstore_event_waits() ? "there is one" : "none");
}

/* Adds one to data/counter in a transaction. @returns what its end was answered */
static int increment(int disturb) {
  int length = REQUEST(XS_TRANSACTION_START, 0, "\0");
  u32 id = 0;
  for (int i = 0; i < length && text[i]; i++) id = id * 10 + (u32)(text[i] - '0');
  xenstore_request(XS_READ, id, "data/counter", sizeof "data/counter", text, sizeof text);
  char payload[] = "data/counter\0?";
  payload[sizeof payload - 2] = (char)(text[0] + 1);
  /* A write outside of the transaction, to what it has read. */
  if (disturb) WRITE(0, "data/counter", "5");
  xenstore_request(XS_WRITE, id, payload, sizeof payload - 1, text, sizeof text);
  return REQUEST(XS_TRANSACTION_END, id, "T\0");
}

static void transaction(void) {
  WRITE(0, "data/counter", "1");
  say("transaction, disturbed", increment(1));
  say("transaction, again", increment(0));
  say("read data/counter", REQUEST(XS_READ, 0, "data/counter\0"));
}

/* Larger than the ring: both ends wait for each other. */
static void large_value(void) {
  static char payload[1900];
  memcpy(payload, "data/large", 11);
  memset(payload + 11, 'x', sizeof payload - 11);
  say("write 1889 bytes", xenstore_request(XS_WRITE, 0, payload, sizeof payload, text, sizeof text));
  printf("%-28s %d bytes\n", "read them", xenstore_read("data/large", text, sizeof text));
}

static void resets(void) {
  REQUEST(XS_WATCH, 0, "data\0again\0");
  say_event("watch data, event");
  say("reset watches", REQUEST(XS_RESET_WATCHES, 0, "\0"));
  WRITE(0, "data/a", "y");
  printf("%-28s %s\n", "event", xenstore_event_waits() ? "there is one" : "none");
  REQUEST(XS_TRANSACTION_START, 0, "\0");
  printf("%-28s %s\n", "reconnect", xenstore_reconnect() < 0 ? "not offered" : "done");
  say("end the old transaction", REQUEST(XS_TRANSACTION_END, 1, "T\0"));
}

static void wait_for_orders(void) {
  REQUEST(XS_WATCH, 0, "control/shutdown\0order\0");
  do {
    xenstore_next_event(text, sizeof text);
    REQUEST(XS_READ, 0, "control/shutdown\0");
  } while (strcmp(text, "poweroff") != 0);
  WRITE(0, "control/shutdown", "");
  printf("poweroff: as you wish\n");
}

void kmain(void) {
  events_init();
  if (strcmp(start_info->cmd_line, "wait") == 0) {
    wait_for_orders();
  } else {
    values_and_lists();
    permissions();
    watches();
    transaction();
    large_value();
    resets();
  }
  shutdown(SHUTDOWN_poweroff);
}
