import { FrameType } from '@xenolith/mmu/frames';
import {
  DOMID_SELF,
  ERESTART,
  GNTMAP_host_map,
  GNTMAP_readonly,
  MMUEXT_NEW_BASEPTR,
  MMUEXT_NEW_USER_BASEPTR,
  MMUEXT_PIN_L1_TABLE,
  MMUEXT_SET_LDT,
  MMUEXT_UNPIN_TABLE,
  MmuextOp,
  MmuUpdate,
  XENMEM_decrease_reservation,
  XENMEM_exchange,
  XENMEM_increase_reservation,
  XENMEM_populate_physmap,
  XenMemoryExchange,
  XenMemoryReservation,
} from '@xenolith/xen-abi';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { setGdt, updateDescriptor } from './descriptors.js';
import { createGrantMapping } from './grant-mapping.js';
import type { GuestAccess } from './interfaces.js';
import { ldtFrame } from './ldt.js';
import { memoryOp } from './memory-op.js';
import { mmuUpdate } from './mmu-update.js';
import { mmuextOp } from './mmuext-op.js';
import { emulatePtWrite } from './pt-write.js';
import { checkTouchedFrames } from './recount.js';
import { BASE, PFN, RO, RW, type SmallGuest, TestHost } from './testing/small-guest.js';
import { updateVaMapping } from './update-va-mapping.js';
import { WORK_LIMIT } from './work.js';

/** Arguments that are always readable and writable, whatever the guest did to its tables. */
class Arguments implements GuestAccess {
  readonly bytes = new Uint8Array(256);
  readonly view = new DataView(this.bytes.buffer);
  copyFrom(address: bigint, length: number): Uint8Array {
    const at = Number(address & 0xffn);
    return this.bytes.slice(at, at + length);
  }
  copyInto(address: bigint, into: Uint8Array): boolean {
    into.set(this.copyFrom(address, into.length));
    return true;
  }
  copyTo(address: bigint, bytes: Uint8Array): boolean {
    this.bytes.set(bytes, Number(address & 0xffn));
    return true;
  }
}

const PAGES = 24;
/** From this pfn on lies a tree that is not in use yet: a table of level 4, 3, 2, 1, and more of the lower levels. */
const TREE = 18;
const LIST = 0x80n;

interface Step {
  kind: number;
  who: number;
  /** A frame to work on and one to point at: pfns of the domain, beyond PAGES something else. */
  a: number;
  b: number;
  slot: number;
  flags: number;
  extra: number;
}

/** Slots near each other, so that entries meet; with Xen's and the last of a root table. */
const slots = [0, 1, 2, 3, 5, 255, 256, 258, 271, 272, 300, 511];
/** Flags that pass and flags that do not. */
const flags = [0, 0x1, 0x5, 0x7, 0x27, 0x67, 0x3, 0x107, 0x87, 0x1f, 0x2];

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.nat(18),
  who: fc.nat(1),
  a: fc.nat(PAGES - 1),
  b: fc.nat(PAGES + 3),
  slot: fc.constantFrom(...slots),
  flags: fc.constantFrom(...flags),
  extra: fc.nat(7),
});

/** The call of each guest that stopped in the middle, to be made again. */
type Pending = Map<SmallGuest, () => void>;

function run(
  host: TestHost,
  guests: readonly SmallGuest[],
  args: Arguments,
  pending: Pending,
  s: Step,
): void {
  const guest = guests[s.who];
  const other = guests[1 - s.who];
  const { memory } = host;
  const { vcpu } = guest;
  const mfnOf = (pfn: number): number =>
    guest.mfns[pfn] ??
    [other.mfns[s.a], memory.m2p.l3, host.machine.frames + 1, host.machine.frames - 1][pfn - PAGES];
  const value = (BigInt(mfnOf(s.b)) << 12n) | BigInt(s.flags) | (s.extra === 7 ? 1n << 63n : 0n);

  /** A call that may stop: the guest may make it again at its next step, or later, or never. */
  const call = (make: () => number): void => {
    const attempt = (): void => {
      if (memory.work.limited(make) !== -ERESTART) return;
      expect(memory.takeContinuation()?.[1]).toBe(0x8000_0001n);
      pending.set(guest, attempt);
    };
    attempt();
  };
  const update = (ptr: bigint): void =>
    call(() => {
      const request = MmuUpdate.at(args.view);
      request.ptr = ptr;
      request.val = value;
      return mmuUpdate(memory, vcpu, args, 0x1000n, 1, 0n, DOMID_SELF);
    });
  const mmuext = (cmd: number, arg1: bigint, arg2 = 0): void =>
    call(() => {
      const op = MmuextOp.at(args.view);
      op.cmd = cmd;
      op.arg1.mfn = arg1;
      op.arg2.nr_ents = arg2;
      return mmuextOp(memory, vcpu, args, 0x1000n, 1, 0n, DOMID_SELF);
    });
  const reserve = (op: number, entry: bigint): void => {
    args.view.setBigUint64(Number(LIST), entry, true);
    const r = XenMemoryReservation.at(args.view);
    r.extent_start = 0x1000n + LIST;
    r.nr_extents = 1n;
    r.extent_order = 0;
    r.mem_flags = 0;
    r.domid = DOMID_SELF;
    const rc = memoryOp(memory, vcpu, args, BigInt(op), 0x1000n);
    // A guest that got a frame puts it in the place of the one it had.
    if (rc === 1 && op !== XENMEM_decrease_reservation) {
      guest.mfns[s.a] = Number(args.view.getBigUint64(Number(LIST), true));
    }
  };

  switch (s.kind) {
    case 0:
    case 1:
    case 2:
      update((BigInt(mfnOf(s.a)) << 12n) + BigInt(s.slot * 8) + BigInt(s.extra & 3));
      break;
    case 3:
      update((BigInt(guest.mfns[s.a % 4]) << 12n) + BigInt(s.slot * 8));
      break;
    case 4:
    case 5:
      mmuext(MMUEXT_PIN_L1_TABLE + (s.extra & 3), BigInt(mfnOf(s.a)));
      break;
    case 6:
      mmuext(MMUEXT_UNPIN_TABLE, BigInt(mfnOf(s.a)));
      break;
    case 7:
      mmuext(s.extra & 1 ? MMUEXT_NEW_BASEPTR : MMUEXT_NEW_USER_BASEPTR, BigInt(mfnOf(s.b)));
      break;
    case 8:
      updateVaMapping(memory, vcpu, args, BASE + BigInt(s.slot * 4096), value, 0n);
      break;
    case 9:
      emulatePtWrite(
        memory,
        vcpu,
        guest.va(s.a) + BigInt(s.slot * 8),
        new Uint8Array(BigUint64Array.of(value).buffer).slice(0, 2 ** (s.extra & 3)),
      );
      break;
    case 10: {
      // What a guest writes through a writable mapping is not checked until the frame becomes a table.
      const mfn = guest.mfns[s.a];
      if (
        memory.frames.isUsedAs(mfn, FrameType.writable) &&
        memory.frames.owner(mfn) === guest.domain.domid
      ) {
        guest.poke(s.a, s.slot, value);
      }
      break;
    }
    case 11:
      reserve(XENMEM_decrease_reservation, BigInt(mfnOf(s.a)));
      break;
    case 12:
      reserve(s.extra & 1 ? XENMEM_increase_reservation : XENMEM_populate_physmap, BigInt(s.a));
      break;
    case 13: {
      args.view.setBigUint64(0, BigInt(mfnOf(s.a)), true);
      if (s.extra & 1) setGdt(memory, vcpu, args, 0x1000n, s.extra & 2 ? 0 : 16);
      else updateDescriptor(memory, vcpu, BigInt(mfnOf(s.a) * 4096 + s.slot * 8), value);
      break;
    }
    case 16:
    case 17:
    case 18: {
      const again = pending.get(guest);
      pending.delete(guest);
      // Without one: something for it to do.
      if (again) again();
      else if (s.kind === 16)
        mmuext(MMUEXT_PIN_L1_TABLE + (3 - (s.extra & 3)), BigInt(guest.mfns[TREE + (s.extra & 3)]));
      else if (s.kind === 17) mmuext(MMUEXT_UNPIN_TABLE, BigInt(guest.mfns[TREE + (s.extra & 3)]));
      else update((BigInt(guest.mfns[TREE + (s.extra & 1)]) << 12n) + BigInt(s.slot * 8));
      break;
    }
    case 14: {
      const granted = other.mfns[s.b % PAGES];
      const isWritable = (s.extra & 1) !== 0;
      const { frames } = memory;
      const { domid } = other.domain;
      const rc = isWritable
        ? frames.getPageAndType(granted, domid, FrameType.writable)
        : frames.getPage(granted, domid)
          ? 0
          : -1;
      if (rc !== 0) break;
      const mapFlags = isWritable ? GNTMAP_host_map : GNTMAP_host_map | GNTMAP_readonly;
      const address = BASE + BigInt(s.slot * 4096);
      if (createGrantMapping(memory, vcpu, address, granted, mapFlags) !== 0) {
        if (isWritable) frames.putPageType(granted);
        frames.putPage(granted);
      }
      break;
    }
    default:
      if (s.extra & 1) {
        mmuext(MMUEXT_SET_LDT, guest.va(s.a), s.extra & 2 ? 0 : 1024);
        ldtFrame(memory, vcpu, (s.extra & 4) * 1024);
      } else {
        const e = XenMemoryExchange.at(args.view);
        for (const [side, list] of [
          [e.in, 0x1000n + LIST],
          [e.out, 0x1000n + LIST + 8n],
        ] as const) {
          side.extent_start = list;
          side.nr_extents = 1n;
          side.extent_order = 0;
          side.mem_flags = 0;
          side.domid = DOMID_SELF;
        }
        e.nr_exchanged = 0n;
        args.view.setBigUint64(Number(LIST), BigInt(mfnOf(s.a)), true);
        args.view.setBigUint64(Number(LIST) + 8, BigInt(s.a), true);
        if (memoryOp(memory, vcpu, args, BigInt(XENMEM_exchange), 0x1000n) === 0) {
          guest.mfns[s.a] = Number(args.view.getBigUint64(Number(LIST) + 8, true));
        }
      }
  }
}

/** One machine for all runs: it is large, and every run must give all of it back. */
const host = new TestHost(160);

/** Page tables as a guest might write them before it makes them its own; the entries of level 4 and 3 lead to more than one. */
function plantTree(guest: SmallGuest): void {
  const [l4, l3, l2, l1, otherL2, otherL1] = [0, 1, 2, 3, 4, 5].map((n) => TREE + n);
  guest.poke(l4, 0, guest.entry(l3, RW));
  guest.poke(l4, 1, guest.entry(l3, RW));
  guest.poke(l4, 2, guest.entry(l4, RO));
  guest.poke(l3, 0, guest.entry(l2, RW));
  guest.poke(l3, 1, guest.entry(otherL2, RW));
  guest.poke(l3, 2, guest.entry(l2, RW));
  for (const table of [l2, otherL2]) {
    guest.poke(table, 0, guest.entry(l1, RW));
    guest.poke(table, 1, guest.entry(otherL1, RW));
  }
  // Linear, to a table that is in use by the time the entry is looked at.
  guest.poke(otherL2, 2, guest.entry(l2, RO));
  for (const table of [l1, otherL1]) guest.poke(table, 0, guest.entry(PFN.data, RW));
}

/** Gives up what a guest let go of, as before its vCPU goes on; in as many pieces as the limit of work makes of it. */
function drain(host: TestHost, { domain }: SmallGuest): number {
  const { dropped } = host.memory.tables;
  let pieces = 0;
  for (; dropped.has(domain.domid); pieces++) {
    host.memory.work.limited(() => dropped.drain(domain.domid));
    expect(checkTouchedFrames(host.memory)).toEqual([]);
    expect(host.recount()).toEqual([]);
  }
  return pieces;
}

test.each([
  ['', WORK_LIMIT],
  [', stopped wherever they can be', 0],
])(
  'whatever two guests do%s, the frame table agrees with a recount, and all comes back at the end',
  (_, limit) => {
    const seen = new Map<string, number>();
    const stops = { kept: 0, pieces: 0, releases: 0 };
    host.memory.work.limit = limit;
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => {
        const free = host.memory.frames.freeFrames;
        const guests = [host.guest(1, PAGES), host.guest(2, PAGES)];
        const args = new Arguments();
        // Frames that may become tables, and frames that nothing maps.
        for (const guest of guests) {
          for (let pfn = 8; pfn < PAGES; pfn++) {
            guest.updateVa(guest.va(pfn), pfn < TREE ? guest.entry(pfn, RO) : 0n);
          }
          plantTree(guest);
        }
        const pending: Pending = new Map();
        checkTouchedFrames(host.memory);
        for (const s of steps) {
          stops.pieces += drain(host, guests[s.who]);
          run(host, guests, args, pending, s);
          if (guests[s.who].vcpu.keptTables.length > 0) stops.kept++;
          expect(checkTouchedFrames(host.memory)).toEqual([]);
          if (limit === 0) expect(host.recount()).toEqual([]);
        }
        // However often it is stopped, what is made again comes to an end.
        for (const [guest, again] of pending) {
          let next: (() => void) | undefined = again;
          for (let attempts = 0; next; attempts++) {
            expect(attempts).toBeLessThan(PAGES);
            pending.delete(guest);
            drain(host, guest);
            next();
            next = pending.get(guest);
          }
          expect(guest.vcpu.keptTables).toEqual([]);
          drain(host, guest);
        }
        expect(host.recount()).toEqual([]);
        for (const { domain } of guests) {
          for (const mfn of [domain.vcpus[0].guestTable, domain.vcpus[0].guestTableUser]) {
            if (mfn !== 0) expect(host.memory.frames.isUsedAs(mfn, FrameType.l4)).toBe(true);
          }
        }
        for (let mfn = host.machine.firstFrame; mfn < host.machine.frames; mfn++) {
          const type =
            host.memory.frames.typeReferences(mfn) > 0 ? `type ${host.memory.frames.type(mfn)}` : 'none';
          seen.set(type, (seen.get(type) ?? 0) + 1);
        }
        // Frames granted to the second domain outlive the first, not both.
        for (const { domain } of guests) domain.dying = true;
        for (const { domain } of guests) stops.releases += host.release(domain).steps;
        expect(host.recount()).toEqual([]);
        expect(host.memory.frames.freeFrames).toBe(free);
        expect(guests.map(({ domain }) => domain.totPages)).toEqual([0, 0]);
      }),
      { numRuns: limit === 0 ? 300 : 150, seed: 17, endOnFailure: true },
    );
    // The steps are not all refused: frames of every type were there.
    for (const type of [1, 2, 3, 4, 5, 7])
      expect(seen.get(`type ${type}`) ?? 0, `type ${type}`).toBeGreaterThan(20);
    if (limit > 0) expect(stops).toMatchObject({ kept: 0, pieces: 0 });
    else for (const [where, count] of Object.entries(stops)) expect(count, where).toBeGreaterThan(100);
  },
);
