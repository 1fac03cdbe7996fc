import { Exit, type PrivilegedInstruction } from '@xenolith/cpu-emulator';
import { describe, expect, it } from 'vitest';
import { GPR } from './arch/x86.js';
import { HYPERCALLS } from './hypercalls/table.js';
import { recountFrames } from './memory/index.js';
import { DATA_PAGES, type TestHost, testHost } from './testing/test-host.js';

/** Numbers from a seed (xorshift, 32 bits). */
function random(seed: number) {
  let state = seed || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  return { next, below: (n: number) => next() % n };
}

/** A value as a hostile guest might pass it: small numbers, its own addresses, frames, and what lies at the borders. */
function value(host: TestHost, r: ReturnType<typeof random>): bigint {
  switch (r.below(9)) {
    case 0:
      return BigInt(r.below(16));
    case 1:
      return BigInt(r.below(0x8000));
    case 2:
    case 3:
    case 4:
      return host.at(r.below(DATA_PAGES), r.below(512) * 8);
    case 5:
      return BigInt(host.frame(r.below(64)));
    case 6:
      return (BigInt(host.frame(r.below(64))) << 12n) | BigInt(r.below(512) * 8 + r.below(4));
    case 7:
      return 0xffff_8000_0000_0000n + BigInt(r.below(0x1000));
    default:
      return (BigInt(r.next()) << 32n) | BigInt(r.next());
  }
}

const NUMBERS = [...HYPERCALLS.keys(), 11, 43, 63];
const PRIVILEGED: ((r: ReturnType<typeof random>, host: TestHost) => PrivilegedInstruction)[] = [
  (r) => ({ op: 'rdmsr', index: r.below(2) ? 0xc000_0080 + r.below(8) : r.next() }),
  (r) => ({ op: 'wrmsr', index: r.below(2) ? 0xc000_0080 + r.below(8) : r.next() }),
  (r) => ({ op: 'writeCr', register: r.below(9), gpr: r.below(16) }),
  (r) => ({ op: 'writeDr', register: r.below(8), gpr: r.below(16) }),
  (r) => ({ op: 'out', port: r.below(0x1_0000), size: 4 }),
  (r) => ({ op: 'in', port: r.below(0x80), size: 2 }),
  (r, host) => ({ op: 'ins', port: 0x43, size: 4, rep: true, address: value(host, r), addressSize: 8 }),
  (r) => ({ op: 'loadSegment', segment: r.below(6), selector: r.below(0x1_0000), popped: 0 }),
  (r) => ({ op: 'lar', selector: r.below(0x1_0000), gpr: r.below(16), operandSize: 8 }),
  () => ({ op: 'iret', operandSize: 8, selector: 0, offset: 0n, pop: 0 }),
  () => ({ op: 'cpuid' }),
];

function oneStep(host: TestHost, r: ReturnType<typeof random>): void {
  const { cpu, hv } = host;
  const { regs } = cpu;
  for (let i = 0; i < 16; i++) if (r.below(3)) regs.gpr[i] = value(host, r);
  regs.gpr[GPR.rsp] = host.vcpu.kernelSp = host.at(15, 0x800);
  // Arguments in memory: half of the time a page of random words.
  if (r.below(2)) {
    const at = host.frame(r.below(8)) * 4096;
    for (let i = 0; i < 16; i++) host.machine.view.setBigUint64(at + i * 8, value(host, r), true);
  }
  switch (r.below(8)) {
    case 0: {
      const make = PRIVILEGED[r.below(PRIVILEGED.length)]!;
      Object.assign(cpu, { privileged: make(r, host), length: 2 });
      hv.handle(Exit.privileged);
      return;
    }
    case 1:
      Object.assign(cpu, { vector: r.below(32), errorCode: r.below(32), cr2: value(host, r), length: 2 });
      hv.handle(r.below(2) ? Exit.exception : Exit.softwareInterrupt);
      return;
    default:
      regs.gpr[GPR.rax] = BigInt(NUMBERS[r.below(NUMBERS.length)]!);
      cpu.length = 2;
      hv.handle(Exit.syscall);
  }
}

const CALLS = 20_000;

/** A guest that handles all its exceptions, so that it lives for a while. */
function newGuest(): TestHost {
  const host = testHost({}, { vcpus: 2 });
  for (let vector = 0; vector < 256; vector++) host.vcpu.traps.set(vector, 0x40_0000n, 0xe033, vector & 7);
  host.vcpu.event = { address: 0x40_0000n, masksEvents: true };
  host.vcpu.syscall = { address: 0x40_0000n, masksEvents: true };
  return host;
}

describe('a hostile guest', () => {
  it(`makes ${CALLS} random calls: nothing is thrown, and every count stays right`, () => {
    const r = random(0x5eed);
    let host = newGuest();
    let guests = 1;
    const ended = new Set<string>();
    const check = () => {
      const { hv } = host;
      hv.events.checkInvariants();
      hv.grants.checkInvariants();
      const areas = host.domain.vcpus.map((vcpu) => vcpu.vcpuInfoFrame).filter((mfn) => mfn !== 0);
      const held = [...areas, ...host.domain.heldPages()].map((mfn) => ({ mfn, general: 1, writable: 1 }));
      expect(recountFrames(hv.memory, [host.domain], held)).toEqual([]);
    };
    for (let i = 0; i < CALLS; i++) {
      host.domain.vcpus[0]!.blocked = false;
      host.enter();
      oneStep(host, r);
      host.hv.timers.expire(host.hv.clock.now);
      if (i % 200 === 0 || host.domain.stopped) check();
      if (host.domain.stopped) {
        ended.add(host.domain.crashReport?.reason ?? 'shutdown');
        host = newGuest();
        guests++;
      }
    }
    check();
    // Guests must live long enough to be answered, and end in more than one way.
    expect(guests).toBeLessThan(CALLS / 20);
    expect(ended.size).toBeGreaterThan(3);
    expect([...ended].filter((reason) => reason.startsWith('internal error'))).toEqual([]);
  }, 120_000);
});
