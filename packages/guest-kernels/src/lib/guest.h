/* A small library for 64-bit PV guests. A kernel defines kmain; guest_start has run before it. */
#pragma once
#include "abi.h"

extern struct start_info *start_info;
extern struct shared_info *shared_info;

void kmain(void);

/* Ends the domain for a SHUTDOWN_* reason, after the console has taken everything. */
void shutdown(u32 reason) __attribute__((noreturn));

/* Console ring. Output waits while the ring is full; input is what has been typed, or -1. */
void console_write(const char *text, u64 length);
void console_flush(void);
int console_read(void);
/* %d %u %x %s %c %%, with l for 64 bits, a width, and 0 or - before it. */
void printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Events. events_init installs the upcall; wait_for_event sleeps until one arrives (the processor is free then). */
void events_init(void);
void wait_for_event(void);
void event_send(u32 port);

/* Nanoseconds since the host started, and since 1970. */
u64 time_system(void);
u64 time_wallclock(void);
/* Wakes wait_for_event at this system time. */
void time_alarm(u64 system_time);

/*
 * xenstore: reads a value or lists a directory (names separated by NUL) into buffer, NUL-terminated.
 * Returns the length, or -1 with the error's name in buffer. Needs events_init.
 */
int xenstore_read(const char *path, char *buffer, u32 size);
int xenstore_list(const char *path, char *buffer, u32 size);
/* Any request (XS_*), its payload as the protocol has it; returns as these do. */
int xenstore_request(u32 type, u32 transaction, const void *payload, u32 length, char *buffer, u32 size);
/* Waits for a watch to fire: the path that changed. The last eight are kept until somebody asks. */
int xenstore_next_event(char *path, u32 size);
int xenstore_event_waits(void);
/* Drops whatever is under way, with all watches and transactions. Returns -1 if the server does not offer it. */
int xenstore_reconnect(void);

/* Where a frame that Xen's tools gave us (by mfn) is in our initial mapping. */
void *mfn_to_virt(u64 mfn);

u64 strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, u64 n);
void *memcpy(void *to, const void *from, u64 n);
void *memset(void *to, int c, u64 n);
