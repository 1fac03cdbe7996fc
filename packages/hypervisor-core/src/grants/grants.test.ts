import {
  __HYPERVISOR_grant_table_op,
  DOMID_SELF,
  EBUSY,
  type Fields,
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTMAP_contains_pte,
  GNTMAP_device_map,
  GNTMAP_host_map,
  GNTMAP_readonly,
  GNTST_bad_handle,
  GNTST_bad_virt_addr,
  GNTST_general_error,
  GNTST_okay,
  GNTST_permission_denied,
  GNTTABOP_copy,
  GNTTABOP_get_status_frames,
  GNTTABOP_map_grant_ref,
  GNTTABOP_set_version,
  GNTTABOP_setup_table,
  GNTTABOP_swap_grant_ref,
  GNTTABOP_transfer,
  GNTTABOP_unmap_and_replace,
  GNTTABOP_unmap_grant_ref,
  GnttabCopy,
  GnttabGetStatusFrames,
  GnttabMapGrantRef,
  GnttabSetupTable,
  GnttabSwapGrantRef,
  GnttabTransfer,
  GnttabUnmapAndReplace,
  GnttabUnmapGrantRef,
  GTF_accept_transfer,
  GTF_permit_access,
  type Layout,
} from '@xenolith/xen-abi';
import { beforeEach, describe, expect, it } from 'vitest';
import { GPR } from '../arch/x86.js';
import { createDomain } from '../domain/create.js';
import { destroyDomain } from '../domain/destroy.js';
import type { Domain } from '../domain/domain.js';
import { type TestHost, testHost } from '../testing/test-host.js';

const REF = 8;
/** Pages of the mapper's: where the arguments are, and addresses to map at. */
const ARGS = 1;
const [HERE, THERE] = [4, 5];
const RW = GNTMAP_host_map;

let host: TestHost;
let granter: Domain;
beforeEach(() => {
  host = testHost();
  granter = createDomain(host.hv, { memoryPages: 16, maxPages: 20, vcpus: 1 });
  grant(REF, 3);
});

/** The granter lets the test host's domain use its page. */
const grant = (ref: number, pfn: number, flags = GTF_permit_access): void =>
  host.hv.grants.writeEntry(granter.domid, ref, host.domain.domid, granter.p2m[pfn]!, flags & ~1);

const op = (command: number, count = 1): number =>
  host.hypercall(__HYPERVISOR_grant_table_op, command, host.at(ARGS), count);

/** The nth structure in the argument page. */
const arg = <F extends Fields>(layout: Layout<F>, n = 0) =>
  layout.at(host.machine.view, host.frame(ARGS) * 4096 + n * layout.size);

function map(hostAddr = host.at(HERE), flags: number = RW, ref = REF) {
  const request = arg(GnttabMapGrantRef);
  Object.assign(request, { host_addr: hostAddr, flags, ref, dom: granter.domid, status: 1, handle: 77 });
  expect(op(GNTTABOP_map_grant_ref)).toBe(0);
  return { status: request.status, handle: request.handle, bus: request.dev_bus_addr };
}

function unmap(handle: number, hostAddr = host.at(HERE), bus = 0n): number {
  const request = arg(GnttabUnmapGrantRef);
  Object.assign(request, { host_addr: hostAddr, dev_bus_addr: bus, handle, status: 1 });
  expect(op(GNTTABOP_unmap_grant_ref)).toBe(0);
  return request.status;
}

const pteOf = (page: number): number => host.domain.p2m[19]! * 4096 + page * 8;
const pte = (page: number): bigint => host.machine.view.getBigUint64(pteOf(page), true);
const frames = () => host.hv.memory.frames;
const recount = (): void => host.hv.checks?.everything();
const granted = (): number => granter.p2m[3]!;

describe('a mapping', () => {
  it('takes the place of what was there, with all references, and leaves nothing', () => {
    const before = frames().references(granted());
    const old = frames().references(host.frame(HERE));
    const { status, handle, bus } = map();
    expect([status, bus]).toEqual([GNTST_okay, BigInt(granted()) << 12n]);
    expect(frames().references(host.frame(HERE))).toBe(old - 1);
    expect(Number((pte(HERE) >> 12n) & 0xfffffn)).toBe(granted());
    recount();
    expect(unmap(handle)).toBe(GNTST_okay);
    expect([pte(HERE), frames().references(granted())]).toEqual([0n, before]);
    recount();
  });

  it('may be named by the machine address of its entry', () => {
    const address = BigInt(pteOf(HERE));
    const { status, handle } = map(address, RW | GNTMAP_contains_pte);
    expect([status, map(address + 4n, RW | GNTMAP_contains_pte).status]).toEqual([
      GNTST_okay,
      GNTST_general_error,
    ]);
    expect(map(BigInt(host.frame(2)) << 12n, RW | GNTMAP_contains_pte).status).toBe(GNTST_general_error);
    expect(unmap(handle, address)).toBe(GNTST_okay);
    recount();
  });

  it('for a device has no entry, and its reference stays until it is unmapped', () => {
    const { handle, bus } = map(0n, GNTMAP_device_map | GNTMAP_readonly);
    recount();
    expect(unmap(handle, 0n, bus)).toBe(GNTST_okay);
    recount();
  });

  it('flushes every translation when it goes: a table may be mapped twice', () => {
    const { handle } = map();
    const flushes = frames().flushClock;
    unmap(handle);
    expect(frames().flushClock).toBeGreaterThan(flushes);
  });

  it('that the guest overwrote cannot be unmapped, but goes with the domain', () => {
    const { handle } = map();
    expect(map(host.at(HERE), RW | GNTMAP_readonly).status).toBe(GNTST_okay);
    recount();
    expect(unmap(handle)).toBe(GNTST_general_error);
    expect(destroyDomain(host.hv, host.domain)).toBe(true);
    expect(host.hv.grants.isIdle(granter.domid)).toBe(true);
  });

  it('outlives its granter', () => {
    const { handle } = map();
    expect(destroyDomain(host.hv, granter)).toBe(false);
    expect(frames().owner(granted())).toBe(granter.domid);
    expect(unmap(handle)).toBe(GNTST_okay);
    expect(unmap(handle)).toBe(GNTST_bad_handle);
    recount();
  });
});

describe('unmap_and_replace', () => {
  function replace(handle: number, newAddr: bigint, hostAddr = host.at(HERE)): number {
    const request = arg(GnttabUnmapAndReplace);
    Object.assign(request, { host_addr: hostAddr, new_addr: newAddr, handle, status: 1 });
    expect(op(GNTTABOP_unmap_and_replace)).toBe(0);
    return request.status;
  }

  it('moves the entry of the other address', () => {
    const { handle } = map();
    const moved = pte(THERE);
    expect(replace(handle, host.at(THERE))).toBe(GNTST_okay);
    expect([pte(HERE), pte(THERE)]).toEqual([moved, 0n]);
    recount();
  });

  it('loses that entry even when it fails (steal_linear_address)', () => {
    const { handle } = map();
    expect(replace(handle, host.at(THERE), host.at(THERE + 1))).toBe(GNTST_general_error);
    expect(pte(THERE)).toBe(0n);
    expect(replace(handle, host.at(HERE))).toBe(GNTST_general_error);
    expect(pte(HERE)).toBe(0n);
    recount();
  });

  it('is not for entries named by machine address', () => {
    const { handle } = map(BigInt(pteOf(HERE)), RW | GNTMAP_contains_pte);
    expect(replace(handle, host.at(THERE), BigInt(pteOf(HERE)))).toBe(GNTST_general_error);
    expect(pte(THERE)).not.toBe(0n);
    recount();
  });
});

describe('a copy', () => {
  const ends = (n: number, flags: number, sourceDomid = granter.domid) => {
    const request = arg(GnttabCopy, n);
    Object.assign(request, { len: 64, flags, status: 1 });
    Object.assign(request.source, { domid: sourceDomid, offset: 0 });
    Object.assign(request.dest, { domid: DOMID_SELF, offset: 0 });
    request.source.u.gmfn = BigInt(REF);
    request.dest.u.gmfn = BigInt(host.frame(2));
    return request;
  };

  it('may write over its own request: only the status is written behind it', () => {
    host.machine.frame(granted()).fill(0xee);
    const request = ends(0, GNTCOPY_source_gref);
    request.dest.u.gmfn = BigInt(host.frame(ARGS));
    expect(op(GNTTABOP_copy)).toBe(0);
    expect(request.status).toBe(GNTST_okay);
    expect(request.source.u.ref).toBe(0xeeee_eeee);
  });

  it('does not lend its rights to the next of the list', () => {
    host.machine.frame(granter.p2m[4]!).fill(0x55);
    const first = ends(0, GNTCOPY_source_gref);
    const second = ends(1, 0);
    second.source.u.gmfn = BigInt(granter.p2m[4]!);
    const third = ends(2, GNTCOPY_dest_gref);
    expect(op(GNTTABOP_copy, 3)).toBe(0);
    expect([first.status, second.status, third.status]).toEqual([
      GNTST_okay,
      GNTST_permission_denied,
      GNTST_permission_denied,
    ]);
    expect(host.machine.frame(host.frame(2))[0]).toBe(0);
  });
});

describe('version 2', () => {
  it('cannot be left while the domain maps the status words', () => {
    const { view } = host.machine;
    const list = host.at(2);
    host.poke(host.at(ARGS), 2);
    expect(op(GNTTABOP_set_version)).toBe(0);
    Object.assign(arg(GnttabGetStatusFrames), { nr_frames: 1, dom: DOMID_SELF, status: 1, frame_list: list });
    expect(op(GNTTABOP_get_status_frames)).toBe(0);
    const mfn = Number(view.getBigUint64(host.frame(2) * 4096, true));
    expect([arg(GnttabGetStatusFrames).status, frames().owner(mfn)]).toEqual([GNTST_okay, host.domain.domid]);
    frames().getPageAndType(mfn, host.domain.domid, frames().type(mfn));
    host.poke(host.at(ARGS), 1);
    expect(op(GNTTABOP_set_version)).toBe(-EBUSY);
    expect(view.getUint32(host.frame(ARGS) * 4096, true)).toBe(2);
    frames().putPageAndType(mfn);
    host.poke(host.at(ARGS), 1);
    expect(op(GNTTABOP_set_version)).toBe(0);
    recount();
  });
});

it('setup_table says so when the list cannot be written', () => {
  Object.assign(arg(GnttabSetupTable), { dom: DOMID_SELF, nr_frames: 1, status: 1, frame_list: 0x10n });
  expect(op(GNTTABOP_setup_table)).toBe(0);
  expect(arg(GnttabSetupTable).status).toBe(GNTST_bad_virt_addr);
});

describe('a transfer', () => {
  function transfer(mfn: number, domid = granter.domid): number {
    Object.assign(arg(GnttabTransfer), { mfn: BigInt(mfn), domid, ref: REF, status: 1 });
    expect(op(GNTTABOP_transfer)).toBe(0);
    return arg(GnttabTransfer).status;
  }
  const accept = (): void => {
    const { view } = host.machine;
    const at = host.hv.grants.setupTable(granter.domid, DOMID_SELF, 1).frames[0]! * 4096 + REF * 8;
    view.setUint16(at, GTF_accept_transfer, true);
    view.setUint16(at + 2, host.domain.domid, true);
    view.setUint32(at + 4, 99, true);
  };

  it('moves a frame, its contents and its count', () => {
    const { domain, machine } = host;
    const mfn = domain.p2m[40]!;
    machine.frame(mfn).fill(7);
    const counts = [domain.totPages, granter.totPages];
    accept();
    expect(transfer(mfn)).toBe(GNTST_okay);
    expect([domain.totPages, granter.totPages]).toEqual([counts[0]! - 1, counts[1]! + 1]);
    expect([frames().owner(mfn), machine.frame(mfn)[9], host.hv.memory.m2p.get(mfn)]).toEqual([
      granter.domid,
      7,
      99n,
    ]);
    recount();
  });

  it('to nobody frees the frame, and none that is mapped can go', () => {
    const mfn = host.domain.p2m[40]!;
    const free = frames().freeFrames;
    accept();
    expect(transfer(host.frame(2))).toBe(-9);
    expect(transfer(mfn, 77)).toBe(-2);
    expect(frames().freeFrames).toBe(free + 1);
    recount();
  });
});

it('a long list is gone on with later, and ends as a short one does', () => {
  // The guest's list: 340 swaps of a reference with itself in a page, made again and again through one page.
  const count = 340;
  for (let n = 0; n < count; n++)
    Object.assign(arg(GnttabSwapGrantRef, n), { ref_a: n, ref_b: n, status: 1 });
  const { work } = host.hv.memory;
  let calls = 0;
  const { gpr } = host.cpu.regs;
  let [at, left] = [host.at(ARGS), count];
  // As little work as it takes to stop in the middle.
  work.limit = 1000;
  for (; left > 0 && calls < 100; calls++) {
    host.hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_swap_grant_ref, at, left);
    if (gpr[GPR.rax] === 0n) break;
    [at, left] = [gpr[GPR.rsi]!, Number(gpr[GPR.rdx]!)];
  }
  expect(calls).toBeGreaterThan(3);
  expect(calls).toBeLessThan(100);
  for (let n = 0; n < count; n++) expect(arg(GnttabSwapGrantRef, n).status).toBe(GNTST_okay);
});
