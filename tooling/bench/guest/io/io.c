/*
 * What the guests of the benchmark run, the same program for every engine; static, for an initramfs.
 *   io disk DEVICE MIB              sequential and random I/O past the page cache on a disk of MIB
 *   io serve PORT                   takes one TCP connection at a time: counts what comes, or sends bytes back
 *   io send ADDRESS PORT MIB        TCP throughput to `serve`, on its own clock, until it has said that all is there
 *   io echo ADDRESS PORT COUNT      round trips of one byte over TCP
 * Results are lines `RESULT name value unit`.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, SEQUENTIAL = 1 << 20, CHUNK = 1 << 16, WORKERS = 8 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
  perror(what);
  printf("FAILED %s\n", what);
  exit(1);
}

static void result(const char *name, double value, const char *unit) {
  printf("RESULT %s %.3f %s\n", name, value, unit);
  fflush(stdout);
}

/* The same numbers for everybody: which blocks are touched must not differ between engines. */
static unsigned long next_random(unsigned long *state) {
  *state = *state * 6364136223846793005ul + 1442695040888963407ul;
  return *state >> 33;
}

/* ── Disk ── */

static void transfer(int fd, char *buffer, size_t length, off_t at, int write) {
  ssize_t done = write ? pwrite(fd, buffer, length, at) : pread(fd, buffer, length, at);
  if (done != (ssize_t)length) die(write ? "pwrite" : "pread");
}

static void sequential(const char *device, char *buffer, size_t size, int write) {
  int fd = open(device, O_RDWR | O_DIRECT);
  if (fd < 0) die(device);
  double start = now();
  for (size_t at = 0; at < size; at += SEQUENTIAL) transfer(fd, buffer, SEQUENTIAL, (off_t)at, write);
  if (write && fdatasync(fd)) die("fdatasync");
  result(write ? "sequential-write" : "sequential-read", (double)size / 1e6 / (now() - start), "MB/s");
  close(fd);
}

/* `workers` processes with one request each under way, for about `seconds`. */
static void random_blocks(const char *name, const char *device, char *buffer, size_t size, int write, int workers, double seconds) {
  long *counts = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  double start = now();
  for (int worker = 0; worker < workers; worker++) {
    if (fork()) continue;
    int fd = open(device, O_RDWR | O_DIRECT);
    if (fd < 0) die(device);
    unsigned long state = 1 + (unsigned long)worker;
    long count = 0;
    while (now() - start < seconds) {
      for (int i = 0; i < 16; i++, count++)
        transfer(fd, buffer, BLOCK, (off_t)(next_random(&state) % (size / BLOCK)) * BLOCK, write);
    }
    counts[worker] = count;
    _exit(0);
  }
  int status;
  while (wait(&status) > 0) if (status) die("worker");
  long total = 0;
  for (int worker = 0; worker < workers; worker++) total += counts[worker];
  result(name, (double)total / (now() - start), "requests/s");
}

static void disk(const char *device, size_t size, double seconds) {
  char *buffer = mmap(0, SEQUENTIAL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(buffer, 0x5a, SEQUENTIAL);
  sequential(device, buffer, size, 1);
  sequential(device, buffer, size, 0);
  random_blocks("random-read", device, buffer, size, 0, 1, seconds);
  random_blocks("random-write", device, buffer, size, 1, 1, seconds);
  random_blocks("random-read-8", device, buffer, size, 0, WORKERS, seconds);
  random_blocks("random-write-8", device, buffer, size, 1, WORKERS, seconds);
}

/* ── Network ── */

static int reach(const char *address, int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  inet_pton(AF_INET, address, &to.sin_addr);
  for (;;) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
    close(fd);
    usleep(50000);
  }
}

static void whole(ssize_t done, ssize_t wanted, const char *what) {
  if (done != wanted) die(what);
}

/* The first byte says what is wanted: `s` and a length of 8 bytes, which are then awaited; or `e`. */
static void serve(int port) {
  static char buffer[CHUNK];
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 1)) die("bind");
  for (;;) {
    int fd = accept(listener, 0, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char what = 0;
    whole(read(fd, &what, 1), 1, "what");
    if (what == 'q') return;
    if (what == 's') {
      long left;
      whole(recv(fd, &left, sizeof left, MSG_WAITALL), sizeof left, "length");
      while (left > 0) {
        ssize_t got = read(fd, buffer, CHUNK);
        if (got <= 0) die("read");
        left -= got;
      }
      whole(write(fd, &what, 1), 1, "thanks");
    } else {
      while (read(fd, &what, 1) == 1) whole(write(fd, &what, 1), 1, "echo");
    }
    close(fd);
  }
}

static void send_all(const char *address, int port, long mib) {
  static char buffer[CHUNK];
  memset(buffer, 0x5a, CHUNK);
  int fd = reach(address, port);
  long length = mib << 20;
  char what = 's';
  whole(write(fd, &what, 1), 1, "what");
  whole(write(fd, &length, sizeof length), sizeof length, "length");
  double start = now();
  for (long sent = 0; sent < length; sent += CHUNK) whole(write(fd, buffer, CHUNK), CHUNK, "send");
  whole(read(fd, &what, 1), 1, "thanks");
  result("tcp", (double)length / 1e6 / (now() - start), "MB/s");
  close(fd);
}

static void echo(const char *address, int port, int count) {
  int fd = reach(address, port);
  char byte = 'e';
  whole(write(fd, &byte, 1), 1, "what");
  double start = now();
  for (int i = 0; i < count; i++) {
    whole(write(fd, &byte, 1), 1, "echo");
    whole(read(fd, &byte, 1), 1, "echo");
  }
  result("tcp-round-trips", count / (now() - start), "1/s");
  close(fd);
}

static void quit(const char *address, int port) {
  char what = 'q';
  int fd = reach(address, port);
  whole(write(fd, &what, 1), 1, "what");
}

int main(int count, char **words) {
  const char *what = count > 1 ? words[1] : "";
  if (!strcmp(what, "disk") && count == 5) disk(words[2], (size_t)atol(words[3]) << 20, atof(words[4]));
  else if (!strcmp(what, "serve") && count == 3) serve(atoi(words[2]));
  else if (!strcmp(what, "send") && count == 5) send_all(words[2], atoi(words[3]), atol(words[4]));
  else if (!strcmp(what, "echo") && count == 5) echo(words[2], atoi(words[3]), atoi(words[4]));
  else if (!strcmp(what, "quit") && count == 4) quit(words[2], atoi(words[3]));
  else die("usage");
  return 0;
}
