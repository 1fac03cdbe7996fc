import bench from './generated/bench.js';
import blk from './generated/blk.js';
import demo from './generated/demo.js';
import events from './generated/events.js';
import fault from './generated/fault.js';
import fuzz from './generated/fuzz.js';
import grants from './generated/grants.js';
import hello from './generated/hello.js';
import neighbour from './generated/neighbour.js';
import net from './generated/net.js';
import pingpong from './generated/pingpong.js';
import smp from './generated/smp.js';
import tables from './generated/tables.js';
import xenstore from './generated/xenstore.js';

/** Images travel as base64 so that the package needs no files and no fetch, in Node and in browsers. */
const decode = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

/** Prints one line and powers off. */
export const helloKernel: Uint8Array = /* @__PURE__ */ decode(hello);

/** Reports what it finds (Xen's version, memory, time, its xenstore entries), then takes commands: see `help`. */
export const demoKernel: Uint8Array = /* @__PURE__ */ decode(demo);

/** Takes event channels through their operations in both ABIs, and prints what Xen answers. Ends with `events: done`. */
export const eventsKernel: Uint8Array = /* @__PURE__ */ decode(events);

/** Goes wrong as its command line says: crash, panic, spin, stack, recurse, wild. */
export const faultKernel: Uint8Array = /* @__PURE__ */ decode(fault);

/** Runs three computations between `BENCH-START name` and `BENCH-END name result nanoseconds` lines. */
export const benchKernel: Uint8Array = /* @__PURE__ */ decode(bench);

/** Runs programs that a fuzzer wrote, from its ramdisk (see src/kernels/fuzz.c). For tests of the hypervisor. */
export const fuzzKernel: Uint8Array = /* @__PURE__ */ decode(fuzz);

/** Grants pages to another domain (`grant N`, `grant N v2`) or uses what that one grants (`map N`). Ends with `grants: ok`. */
export const grantsKernel: Uint8Array = /* @__PURE__ */ decode(grants);

/** Shares a page with another domain by grant, as its command line says: `grant N` or `map N`. Takes single letters then. */
export const neighbourKernel: Uint8Array = /* @__PURE__ */ decode(neighbour);

/** One of two ends of an event channel that wake each other in turns: `serve N ROUNDS` or `call N ROUNDS`. For measuring. */
export const pingpongKernel: Uint8Array = /* @__PURE__ */ decode(pingpong);

/** A front end of a network: answers ARP, pings and UDP echo, or pings another; `ip=A.B.C.D`, `ping=A.B.C.D`. Says what it does. */
export const netKernel: Uint8Array = /* @__PURE__ */ decode(net);

/** A front end of a disk: reads, writes and reads again, with a checksum of each. Ends with `blk: done`. */
export const blkKernel: Uint8Array = /* @__PURE__ */ decode(blk);

/** Uses xenstore in every way that a guest does, and says what came of it; `wait`: powers off when it is told to. */
export const xenstoreKernel: Uint8Array = /* @__PURE__ */ decode(xenstore);

/** Brings up all of its vCPUs and tries what they need: a lock, interrupts, NMIs, flushes. Ends with `smp: ok`. */
export const smpKernel: Uint8Array = /* @__PURE__ */ decode(smp);

/** Changes page tables at random on all of its vCPUs at once, as its command line says: `seed=N rounds=M`. For tests. */
export const tablesKernel: Uint8Array = /* @__PURE__ */ decode(tables);
