import { Exit } from '@xenolith/cpu-emulator';
import * as abi from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { GPR } from '../arch/x86.js';
import { WORK_LIMIT } from '../memory/work.js';
import { type TestHost, testHost } from '../testing/test-host.js';

type Value = number | bigint;

/** The largest step that is not divided: an extent of 2^9 frames, or a page table. */
const LARGEST_STEP = 25_000;
const ARGUMENTS = [GPR.rdi, GPR.rsi, GPR.rdx, GPR.r10, GPR.r8, GPR.r9];

/** Times that a call is made again. */
const LIMIT = 2;

interface Outcome {
  result: number;
  /** Times that the guest executed SYSCALL. */
  times: number;
  /** Most work of one of them. */
  most: number;
}

/** Makes a hypercall as a guest's processor would, again and again until it is over or has been made `limit` times. */
function make(host: TestHost, number: number, args: readonly Value[], limit = LIMIT): Outcome {
  host.enter();
  const { cpu, hv } = host;
  const { regs } = cpu;
  const { rip } = regs;
  regs.gpr[GPR.rax] = BigInt(number);
  ARGUMENTS.forEach((register, i) => {
    regs.gpr[register] = BigInt.asUintN(64, BigInt(args[i] ?? 0));
  });
  const outcome = { result: 0, times: 0, most: 0 };
  do {
    outcome.times++;
    regs.rip = rip;
    cpu.length = 2;
    const before = hv.memory.work.done;
    hv.handle(Exit.syscall);
    outcome.most = Math.max(outcome.most, hv.memory.work.done - before);
    // The instruction is still the SYSCALL: the guest executes it again, with what is left.
  } while (regs.rip === rip && outcome.times < limit);
  outcome.result = Number(BigInt.asIntN(64, regs.gpr[GPR.rax]!));
  regs.rip = rip;
  return outcome;
}

const ENTRY_WORDS = 8;
/** Where a long list lies: 2 MiB less a few pages, in which three data pages repeat. */
const FIRST_PAGE = 18;
const LIST_PAGES = 492;
const list = (host: TestHost): bigint => host.at(FIRST_PAGE);

/** Fills the long list with elements of `stride` words. Returns how many there are. */
function fill(host: TestHost, word: (index: number) => bigint, stride: number): number {
  const pages = [3, 4, 5];
  for (let i = 0; i < pages.length * 512; i++) host.poke(host.at(3) + BigInt(i * 8), word(i));
  for (let n = 0; n < LIST_PAGES; n++) {
    const pte = (BigInt(host.frame(pages[n % 3]!)) << 12n) | 7n;
    expect(host.hypercall(abi.__HYPERVISOR_update_va_mapping, host.at(FIRST_PAGE + n), pte, 0)).toBe(0);
  }
  return (LIST_PAGES * 512) / stride;
}

const self = abi.DOMID_SELF;

/** Calls that would keep the host for long: their arguments; and how they end, unless they are still going on after `LIMIT` times. */
const ADVERSARIAL: [string, number, (host: TestHost) => Value[], ((host: TestHost) => [number, number])?][] =
  [
    [
      'mmu_update, 2^31 − 1 requests that repeat',
      abi.__HYPERVISOR_mmu_update,
      (host) => {
        const entry = BigInt(host.domain.p2m[19]! * 4096);
        fill(host, (i) => (i % 2 ? 0n : entry), 2);
        return [list(host), 0x7fff_ffff, 0, self];
      },
    ],
    [
      'mmuext_op, flushes without end',
      abi.__HYPERVISOR_mmuext_op,
      (host) => {
        fill(host, (i) => (i % 3 ? 0n : BigInt(abi.MMUEXT_INVLPG_LOCAL)), 3);
        return [list(host), 0x7fff_ffff, 0, self];
      },
    ],
    [
      'multicall of versions',
      abi.__HYPERVISOR_multicall,
      (host) => {
        fill(host, (i) => (i % ENTRY_WORDS ? 0n : BigInt(abi.__HYPERVISOR_xen_version)), ENTRY_WORDS);
        return [list(host), 0xffff_ffff];
      },
    ],
    [
      'set_trap_table without an end',
      abi.__HYPERVISOR_set_trap_table,
      (host) => {
        fill(host, (i) => (i % 2 ? 0x1000n : 0xe033_0003n), 2);
        return [list(host)];
      },
    ],
    [
      'grant_table_op, 2^31 − 1 queries',
      abi.__HYPERVISOR_grant_table_op,
      (host) => {
        fill(host, () => 0n, 3);
        return [abi.GNTTABOP_unmap_grant_ref, list(host), 0x7fff_ffff];
      },
    ],
    [
      'console_io, 4 GiB',
      abi.__HYPERVISOR_console_io,
      (host) => {
        fill(host, () => 0n, 1);
        return [abi.CONSOLEIO_write, 0xffff_ffff, list(host)];
      },
    ],
    [
      'increase_reservation, extents of 2 MiB',
      abi.__HYPERVISOR_memory_op,
      (host) => {
        host.domain.maxPages = 1e6;
        host.poke(host.at(1), 0n, 0x3ff_ffffn, 9, 0, BigInt(self));
        return [abi.XENMEM_increase_reservation, host.at(1)];
      },
      // The machine of the test has three of them.
      () => [2, 3],
    ],
    [
      'increase_reservation, single frames',
      abi.__HYPERVISOR_memory_op,
      (host) => {
        host.domain.maxPages = 1e6;
        host.poke(host.at(1), 0n, 0x3ff_ffffn, 0, 0, BigInt(self));
        return [abi.XENMEM_increase_reservation, host.at(1)];
      },
      ({ hv }) => [2, hv.memory.frames.freeFrames],
    ],
  ];

describe('no hypercall keeps the host for long', () => {
  it.each(ADVERSARIAL)('%s', (_, number, prepare, ends) => {
    const host = testHost({}, { consoleIo: () => {} });
    const args = prepare(host);
    const end = ends?.(host) ?? [LIMIT, number];
    const { most, times, result } = make(host, number, args);
    expect([times, result]).toEqual(end);
    expect(most).toBeLessThan(WORK_LIMIT + LARGEST_STEP);
    expect(host.domain.shutdownCode).toBeUndefined();
  });
});

describe('what the guest sees of a continuation', () => {
  it('mmu_update: the requests that are left, their number with bit 31 set, and all of it counted as done', () => {
    const host = testHost();
    const entry = BigInt(host.domain.p2m[19]! * 4096);
    const count = fill(host, (i) => (i % 2 ? 0n : entry), 2);
    host.hv.memory.work.limit = 1000;
    const outcome = make(host, abi.__HYPERVISOR_mmu_update, [list(host), count, host.at(1), self], 1);
    const { gpr } = host.cpu.regs;
    const left = Number(gpr[GPR.rsi]!);
    expect(outcome.times).toBe(1);
    expect(left).toBeGreaterThan(0x8000_0000);
    const done = count - (left - 0x8000_0000);
    expect(gpr[GPR.rdi]).toBe(list(host) + BigInt(done * 16));
    expect(host.hv.access.readU32(host.at(1))).toBe(done);
    host.hv.memory.work.limit = 1e9;
    const rest = [gpr[GPR.rdi]!, gpr[GPR.rsi]!, gpr[GPR.rdx]!, gpr[GPR.r10]!];
    expect(make(host, abi.__HYPERVISOR_mmu_update, rest).result).toBe(0);
    expect(host.hv.access.readU32(host.at(1))).toBe(count);
  });

  it('in a multicall the rest is in the entry, and the multicall goes on with it', () => {
    const host = testHost();
    const entry = BigInt(host.domain.p2m[19]! * 4096);
    const entries = host.at(2);
    const requests = host.at(3);
    for (let i = 0; i < 4; i++) host.poke(requests + BigInt(i * 16), entry, 0n);
    const call = (op: number, ...args: Value[]) => [
      BigInt(op),
      77n,
      ...[0, 1, 2, 3, 4, 5].map((i) => BigInt(args[i] ?? 0)),
    ];
    host.poke(
      entries,
      ...call(abi.__HYPERVISOR_mmu_update, requests, 4, 0, self),
      ...call(abi.__HYPERVISOR_xen_version, 0),
    );
    let looks = 0;
    Object.defineProperty(host.hv.memory.work, 'isEnough', { get: () => ++looks === 2 });
    make(host, abi.__HYPERVISOR_multicall, [entries, 2], 1);
    const { gpr } = host.cpu.regs;
    expect([gpr[GPR.rdi], gpr[GPR.rsi]]).toEqual([entries, 2n]);
    const word = (n: number) => host.hv.access.readU64(entries + BigInt(n * 8));
    expect([word(0), word(1)]).toEqual([1n, 1n]);
    expect([word(2), word(3)]).toEqual([requests + 32n, 0x8000_0002n]);
    expect(make(host, abi.__HYPERVISOR_multicall, [entries, 2]).result).toBe(0);
    expect([word(1), word(9)]).toEqual([0n, 0x4_0011n]);
  });
});
