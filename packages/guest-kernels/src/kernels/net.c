/*
 * A small host on a network: answers ARP, pings and, on port 7 of UDP, echoes; says what it does. On the command line:
 *   ip=A.B.C.D      its address (10.0.0.2)
 *   ping=A.B.C.D    pings that address until it has answered four times, then powers off
 *   quit            and tells that one to power off as well
 * A datagram "quit" to port 7 powers it off, too, when it is answered; so does the end of its backend.
 */
#include "../lib/device/device.h"

/* Headers as they are on the wire: numbers are big-endian. */
struct ether { u8 to[6], from[6]; u16 type; } __attribute__((packed));
struct arp {
  struct ether ether;
  u16 hardware, protocol;
  u8 hardware_length, protocol_length;
  u16 operation;
  u8 from_mac[6], from[4], to_mac[6], to[4];
} __attribute__((packed));
struct ip {
  struct ether ether;
  u8 version_and_length, service;
  u16 length, id, fragment;
  u8 ttl, protocol;
  u16 checksum;
  u8 from[4], to[4];
} __attribute__((packed));
struct icmp { struct ip ip; u8 type, code; u16 checksum, id, sequence; } __attribute__((packed));
struct udp { struct ip ip; u16 from, to, length, checksum; } __attribute__((packed));

enum { TYPE_IP = 0x0800, TYPE_ARP = 0x0806, ICMP = 1, UDP = 17, ECHO_REPLY = 0, ECHO_REQUEST = 8, ECHO_PORT = 7 };
enum { ARP_REQUEST = 1, ARP_REPLY = 2, PINGS = 4, PING_BYTES = 56 };

static u8 mac[6], address[4] = {10, 0, 0, 2}, target[4];
static const u8 everybody[6] = {255, 255, 255, 255, 255, 255};
static u8 frame[PAGE_SIZE];
static int is_over;

static u16 swapped(u16 value) { return (u16)(value << 8 | value >> 8); }
static int is_same(const u8 *a, const u8 *b, u32 length) {
  while (length && *a == *b) a++, b++, length--;
  return !length;
}
static void say_address(const u8 a[4]) { printf("%u.%u.%u.%u", a[0], a[1], a[2], a[3]); }

/* RFC 1071, over an even or odd number of bytes. */
static u16 checksum(const void *data, u32 length) {
  const u8 *bytes = data;
  u32 sum = 0;
  for (u32 i = 0; i < length; i++) sum += i % 2 ? bytes[i] : (u32)bytes[i] << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return swapped((u16)~sum);
}

static void send(u32 length) {
  /* Ethernet has no shorter frames. */
  static u8 padded[60];
  if (length >= sizeof padded) {
    if (!vif_send(frame, length)) printf("no room to send\n");
    return;
  }
  memset(padded, 0, sizeof padded);
  memcpy(padded, frame, length);
  if (!vif_send(padded, sizeof padded)) printf("no room to send\n");
}

static void send_arp(u16 operation, const u8 to_mac[6], const u8 to[4]) {
  struct arp *arp = (struct arp *)frame;
  memcpy(arp->ether.to, to_mac, 6);
  memcpy(arp->ether.from, mac, 6);
  arp->ether.type = swapped(TYPE_ARP);
  arp->hardware = swapped(1);
  arp->protocol = swapped(TYPE_IP);
  arp->hardware_length = 6;
  arp->protocol_length = 4;
  arp->operation = swapped(operation);
  memcpy(arp->from_mac, mac, 6);
  memcpy(arp->from, address, 4);
  memcpy(arp->to_mac, operation == ARP_REPLY ? to_mac : (const u8[6]){0}, 6);
  memcpy(arp->to, to, 4);
  send(sizeof *arp);
}

/* Completes the headers of IP and Ethernet around what is in the frame, and sends it. */
static void send_ip(u8 protocol, const u8 to_mac[6], const u8 to[4], u32 length) {
  struct ip *ip = (struct ip *)frame;
  memcpy(ip->ether.to, to_mac, 6);
  memcpy(ip->ether.from, mac, 6);
  ip->ether.type = swapped(TYPE_IP);
  ip->version_and_length = 0x45;
  ip->service = 0;
  ip->length = swapped((u16)(length - sizeof ip->ether));
  ip->id = ip->fragment = ip->checksum = 0;
  ip->ttl = 64;
  ip->protocol = protocol;
  memcpy(ip->from, address, 4);
  memcpy(ip->to, to, 4);
  ip->checksum = checksum(&ip->version_and_length, 20);
  send(length);
}

/* Asks for the target's address, then pings it: one at a time, the next when it is answered or a second has passed. */
static u8 target_mac[6];
static u16 pings;
static u32 pongs;
static int has_target, knows_target;
static u64 ask_again_at;

static void ping(void) {
  struct icmp *icmp = (struct icmp *)frame;
  u32 length = sizeof *icmp + PING_BYTES;
  icmp->type = ECHO_REQUEST;
  icmp->code = 0;
  icmp->checksum = 0;
  icmp->id = swapped(1);
  icmp->sequence = swapped(++pings);
  for (u32 i = 0; i < PING_BYTES; i++) frame[sizeof *icmp + i] = (u8)i;
  icmp->checksum = checksum(&icmp->type, length - sizeof(struct ip));
  send_ip(ICMP, target_mac, target, length);
}

static void ask(void) {
  if (knows_target) ping();
  else send_arp(ARP_REQUEST, everybody, target);
  ask_again_at = time_system() + 1000000000;
  time_alarm(ask_again_at);
}

static void handle_arp(const struct arp *arp) {
  if (!is_same(arp->to, address, 4)) return;
  u8 from_mac[6], from[4];
  memcpy(from_mac, arp->from_mac, 6);
  memcpy(from, arp->from, 4);
  printf(arp->operation == swapped(ARP_REQUEST) ? "arp: asked by " : "arp: answered by ");
  say_address(from);
  printf("\n");
  if (arp->operation == swapped(ARP_REQUEST)) send_arp(ARP_REPLY, from_mac, from);
  else if (has_target && !knows_target && is_same(from, target, 4)) {
    knows_target = 1;
    memcpy(target_mac, from_mac, 6);
    ask();
  }
}

static void handle_icmp(struct icmp *icmp, u32 length) {
  u32 bytes = length - sizeof(struct ip);
  if (bytes < 8 || checksum(&icmp->type, bytes)) return;
  u8 from[4], from_mac[6];
  memcpy(from, icmp->ip.from, 4);
  memcpy(from_mac, icmp->ip.ether.from, 6);
  int is_request = icmp->type == ECHO_REQUEST;
  if (!is_request && icmp->type != ECHO_REPLY) return;
  printf(is_request ? "ping: %u bytes from " : "pong: %u bytes from ", bytes - 8);
  say_address(from);
  printf(", number %u\n", swapped(icmp->sequence));
  if (is_request) {
    icmp->type = ECHO_REPLY;
    icmp->checksum = 0;
    icmp->checksum = checksum(&icmp->type, bytes);
    send_ip(ICMP, from_mac, from, length);
  } else if (++pongs < PINGS) ask();
  else is_over = 1;
}

static void handle_udp(struct udp *udp, u32 length) {
  if (length < sizeof *udp || udp->to != swapped(ECHO_PORT)) return;
  u32 bytes = length - sizeof *udp;
  u8 from[4], from_mac[6];
  memcpy(from, udp->ip.from, 4);
  memcpy(from_mac, udp->ip.ether.from, 6);
  printf("udp: %u bytes from ", bytes);
  say_address(from);
  printf(":%u\n", swapped(udp->from));
  is_over = bytes >= 4 && is_same((const u8 *)(udp + 1), (const u8 *)"quit", 4);
  udp->to = udp->from;
  udp->from = swapped(ECHO_PORT);
  /* None, which IPv4 allows. */
  udp->checksum = 0;
  send_ip(UDP, from_mac, from, length);
}

static void handle(u32 received) {
  struct ip *ip = (struct ip *)frame;
  if (received >= sizeof(struct arp) && ip->ether.type == swapped(TYPE_ARP)) handle_arp((const struct arp *)frame);
  if (received < sizeof *ip || ip->ether.type != swapped(TYPE_IP)) return;
  u32 length = sizeof ip->ether + swapped(ip->length);
  /* Without options, whole, and to us. */
  if (ip->version_and_length != 0x45 || length < sizeof *ip || length > received || (swapped(ip->fragment) & 0x3fff)) return;
  if (!is_same(ip->to, address, 4) || checksum(&ip->version_and_length, 20)) return;
  if (ip->protocol == ICMP) handle_icmp((struct icmp *)frame, length);
  if (ip->protocol == UDP) handle_udp((struct udp *)frame, length);
}

/* What stands behind a word of the command line that begins so, or 0. */
static const char *option(const char *name) {
  u64 length = strlen(name);
  for (const char *line = start_info->cmd_line; *line; line++)
    if (strncmp(line, name, length) == 0 && (line == start_info->cmd_line || line[-1] == ' ')) return line + length;
  return 0;
}

/* Returns 0 if there is no such address. */
static int read_address(const char *name, u8 into[4]) {
  const char *text = option(name);
  for (u32 i = 0; text && i < 4; i++, text++)
    for (into[i] = 0; *text >= '0' && *text <= '9'; text++) into[i] = (u8)(into[i] * 10 + (*text - '0'));
  return text != 0;
}

static void send_quit(void) {
  struct udp *udp = (struct udp *)frame;
  udp->from = udp->to = swapped(ECHO_PORT);
  udp->length = swapped(8 + 4);
  udp->checksum = 0;
  memcpy(udp + 1, "quit", 4);
  send_ip(UDP, target_mac, target, sizeof *udp + 4);
}

void kmain(void) {
  events_init();
  read_address("ip=", address);
  if (vif_open(mac) < 0) {
    printf("net: there is no network\n");
    return;
  }
  printf("net: %02x:%02x:%02x:%02x:%02x:%02x is ", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
  say_address(address);
  printf("\n");
  has_target = read_address("ping=", target);
  while (!is_over) {
    if (has_target && time_system() >= ask_again_at) ask();
    u32 length = vif_receive(frame, sizeof frame);
    if (length) handle(length);
    else if (xenstore_event_waits() && !vif_is_up()) break;
    else wait_for_event();
  }
  if (knows_target && option("quit")) send_quit();
  vif_close();
  printf("net: over\n");
}
