/*
 * Several vCPUs. The calls are for vCPU 0 but where they say otherwise; printf is vCPU 0's, too. Events are masked but in
 * cpu_wait and between cpu_interruptible(1) and (0).
 */
#pragma once
#include "../guest.h"

#define MAX_CPUS 8

/* Which vCPU runs this: 0 … MAX_CPUS - 1. */
u32 cpu_id(void);
/* Makes the library ready, and returns how many vCPUs there are; at most MAX_CPUS are counted. */
u32 smp_init(void);
/* Starts a vCPU in entry, which must not return. 0 or a negative errno. */
s64 cpu_start(u32 cpu, void (*entry)(void));

/* Sleeps until an event comes for this vCPU. Any vCPU. */
void cpu_wait(void);
/* Lets events in, or keeps them out. Any vCPU. */
void cpu_interruptible(int on);
static inline void cpu_relax(void) { __asm__ volatile("pause" ::: "memory"); }

/* A new port whose events go to this vCPU. */
u32 ipi_bind(u32 cpu);
/* Called for each event, on the vCPU that its port is bound to, with events masked. */
extern void (*event_handler)(u32 port);
/* Called on a vCPU that got an NMI. */
extern void (*nmi_handler)(void);

/* A ticket lock: first come, first served. Whoever waits gives up its slice by PAUSE. */
struct ticket_lock { u32 next, owner; };
void lock(struct ticket_lock *lock);
void unlock(struct ticket_lock *lock);

/* Accesses that may fault: 0, or -1 after a page fault. Any vCPU. */
int probe_read(const volatile u64 *at, u64 *value);
int probe_write(volatile u64 *at, u64 value);

/* The machine frame of a page of ours. */
u64 frame_of(const void *page);
