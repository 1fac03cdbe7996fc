import { Exit } from '@xenolith/cpu-emulator';
import * as abi from '@xenolith/xen-abi';
import { beforeEach, describe, expect, it } from 'vitest';
import { GPR, VECTOR } from '../arch/x86.js';
import { destroyDomain } from '../domain/destroy.js';
import { type TestHost, testHost } from '../testing/test-host.js';
import { prepareReturn } from '../traps/upcalls.js';

// Xen's security advisories about hypercalls and traps (https://xenbits.xen.org/xsa/), in our own words.

let host: TestHost;
let arg: bigint;
beforeEach(() => {
  host = testHost({ checkInterval: 1 }, { vcpus: 2 });
  arg = host.at(2);
});

/** In Xen's own part of the address space. */
const XEN = 0xffff_82d0_8020_0000n;
const HANDLER = 0x40_5000n;
const NON_CANONICAL = 0x0000_8000_0000_0000n;
const S = BigInt(abi.DOMID_SELF);

describe('pointers and sizes', () => {
  const exchange = (list: bigint, out: bigint, done = 0n): number => {
    // in: list, 1 extent, order 0, flags 0, domid; out: the same; nr_exchanged
    host.poke(arg, list, 1n, 0n, S, out, 1n, 0n, S, done);
    return host.hypercall(abi.__HYPERVISOR_memory_op, abi.XENMEM_exchange, arg);
  };

  it('XSA-29, XSA-212: memory exchange does not write its results into Xen’s area, however they are reached', () => {
    host.poke(host.at(3), BigInt(host.frame(30)));
    expect(exchange(host.at(3), XEN)).toBe(-abi.EFAULT);
    // A count that moves the place of the next result there.
    expect(exchange(host.at(3), XEN - 8n, 1n)).toBeLessThanOrEqual(0);
    expect(exchange(host.at(3), host.at(3), 1n << 61n)).toBe(-abi.EINVAL);
    expect(host.domain.stopped).toBe(false);
  });

  it.each([
    ['increase', abi.XENMEM_increase_reservation],
    ['populate', abi.XENMEM_populate_physmap],
    ['decrease', abi.XENMEM_decrease_reservation],
  ])('XSA-14, XSA-31: %s_reservation of absurd orders and counts does nothing', (_name, command) => {
    for (const [count, order] of [
      [1n, 64n],
      [1n, 0xffff_ffffn],
      [0xffff_ffff_ffff_ffffn, 0n],
      [1n << 57n, 9n],
    ] as const) {
      host.poke(arg, 0n, count, order, S);
      const before = host.domain.totPages;
      const rc = host.hypercall(abi.__HYPERVISOR_memory_op, command, arg);
      // Extents done, or an error; the domain's limit keeps the first from being many.
      expect(rc).toBeLessThanOrEqual(64);
      expect(Math.abs(host.domain.totPages - before)).toBeLessThanOrEqual(64);
    }
    expect(host.domain.stopped).toBe(false);
  });

  it.each([
    ['mmu_update', abi.__HYPERVISOR_mmu_update, [0x1fff_ffff, 0, abi.DOMID_SELF]],
    ['mmuext_op', abi.__HYPERVISOR_mmuext_op, [0x1fff_ffff, 0, abi.DOMID_SELF]],
    ['multicall', abi.__HYPERVISOR_multicall, [0xffff_ffff]],
    ['set_gdt', abi.__HYPERVISOR_set_gdt, [0xffff_ffff]],
  ] as const)('%s with a count that overflows stops at what is not mapped', (_name, op, rest) => {
    const rc = host.hypercall(op, host.at(15, 0xff8), ...rest);
    expect(rc).toBeLessThan(0);
    expect(host.domain.stopped).toBe(false);
  });

  it('a structure that lies across the border to Xen’s area is EFAULT', () => {
    for (const at of [0xffff_7fff_ffff_fffcn, 0xffff_ffff_ffff_fff8n, NON_CANONICAL - 4n, XEN]) {
      expect(host.hypercall(abi.__HYPERVISOR_event_channel_op, abi.EVTCHNOP_status, at)).toBe(-abi.EFAULT);
      expect(host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_poll, at)).toBe(-abi.EFAULT);
    }
  });

  it('XSA-221: ports to poll are checked, all of them', () => {
    host.poke(host.at(3), 1, 0x7fff_ffff);
    host.poke(arg, host.at(3), 2n, 0n);
    expect(host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_poll, arg)).toBe(-abi.EINVAL);
    host.poke(arg, host.at(3), 129n, 0n);
    expect(host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_poll, arg)).toBe(-abi.EINVAL);
    expect(host.vcpu.runnable).toBe(true);
  });

  it('XSA-16: map_pirq is not for a guest without devices, whatever the index', () => {
    for (const index of [0, -1, 0x7fff_ffff]) {
      host.poke(arg, abi.DOMID_SELF, abi.MAP_PIRQ_TYPE_GSI, index, index, 0, 0, 0, 0);
      expect(host.hypercall(abi.__HYPERVISOR_physdev_op, abi.PHYSDEVOP_map_pirq, arg)).toBeLessThan(0);
    }
  });
});

describe('time that a guest can take', () => {
  it('XSA-20: periods that would tick for ever, or overflow, are refused', () => {
    for (const period of [1n, 999_999n, 1n << 63n, 0xffff_ffff_ffff_ffffn]) {
      host.poke(arg, period);
      const op = [abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_set_periodic_timer, 0, arg] as const;
      expect(host.hypercall(...op)).toBe(-abi.EINVAL);
    }
  });

  it('XSA-45, XSA-97: a long list is done in parts, each of bounded work, and goes on where it was', () => {
    // Flushes that would each cost a walk of all translations.
    const count = 80;
    for (let i = 0; i < count; i++) {
      host.poke(host.at(4, i * 24), BigInt(abi.MMUEXT_CLEAR_PAGE), BigInt(host.frame(30)), 0n);
    }
    let calls = 0;
    let rc = 0;
    let args: bigint[] = [host.at(4), BigInt(count), host.at(5), S];
    const { gpr } = host.cpu.regs;
    for (; calls < 100; calls++) {
      rc = host.hypercall(abi.__HYPERVISOR_mmuext_op, ...args);
      if (rc !== abi.__HYPERVISOR_mmuext_op) break;
      args = [gpr[GPR.rdi]!, gpr[GPR.rsi]!, gpr[GPR.rdx]!, gpr[GPR.r10]!];
    }
    expect([rc, host.hv.access.readU32(host.at(5))]).toEqual([0, count]);
  });

  it('XSA-344: so is the reset of many ports', () => {
    const limits = testHost({}, { maxEventPort: 4095 });
    while (limits.hv.events.bindIpi(1, 0) > 0);
    limits.poke(limits.at(2), abi.DOMID_SELF);
    expect(limits.hypercall(abi.__HYPERVISOR_event_channel_op, abi.EVTCHNOP_reset, limits.at(2))).toBe(0);
    expect(limits.hv.events.list(1)).toEqual([]);
  });
});

describe('traps and returns', () => {
  it('XSA-7: a SYSRET to an address that is none is a #GP of the guest’s', () => {
    host.enter();
    host.vcpu.traps.set(VECTOR.generalProtection, HANDLER, abi.FLAT_KERNEL_CS64, 0);
    host.cpu.regs.rip = NON_CANONICAL;
    host.vcpu.returnsBySysret = true;
    prepareReturn(host.hv, host.vcpu);
    expect([host.cpu.regs.rip, host.vcpu.returnsBySysret, host.domain.stopped]).toEqual([
      HANDLER,
      false,
      false,
    ]);
  });

  it('XSA-7: handlers and entry points that are no addresses are refused when they are given', () => {
    host.poke(arg, BigInt(abi.CALLBACKTYPE_event), NON_CANONICAL);
    expect(host.hypercall(abi.__HYPERVISOR_callback_op, abi.CALLBACKOP_register, arg)).toBe(-abi.EINVAL);
    host.poke(arg, 3n | (BigInt(abi.FLAT_KERNEL_CS64) << 16n), NON_CANONICAL, 0n, 0n);
    expect(host.hypercall(abi.__HYPERVISOR_set_trap_table, arg)).toBe(-abi.EINVAL);
    // The old call answers 0 all the same.
    host.hypercall(abi.__HYPERVISOR_set_callbacks, NON_CANONICAL, HANDLER, HANDLER);
    expect(host.vcpu.event.address).toBe(0n);
  });

  it('XSA-40: a stack of the kernel’s in Xen’s area crashes the domain and writes nothing', () => {
    host.enter();
    host.vcpu.traps.set(VECTOR.invalidOpcode, HANDLER, abi.FLAT_KERNEL_CS64, 0);
    host.cpu.regs.gpr[GPR.rsp] = XEN;
    Object.assign(host.cpu, { vector: VECTOR.invalidOpcode, errorCode: -1, length: 2 });
    host.hv.handle(Exit.exception);
    expect(host.domain.crashReport?.reason).toContain('Xen');
    expect(host.shutdowns.length).toBeLessThanOrEqual(1);
  });

  it('XSA-106: INT n in user mode needs a gate that user mode may use', () => {
    host.enter();
    host.vcpu.traps.set(VECTOR.generalProtection, HANDLER, abi.FLAT_KERNEL_CS64, 0);
    host.vcpu.traps.set(0x81, 0x40_6000n, abi.FLAT_KERNEL_CS64, 1);
    host.vcpu.kernelSp = host.at(15, 0x800);
    host.vcpu.kernelMode = false;
    Object.assign(host.cpu, { vector: 0x81, errorCode: -1, length: 2 });
    host.hv.handle(Exit.softwareInterrupt);
    expect(host.cpu.regs.rip).toBe(HANDLER);
  });

  it('XSA-213: a multicall ends where it returned to user mode: what follows is not done as the kernel', () => {
    const frame = host.at(15, 0x400);
    host.poke(frame, 0n, 0n, 0n, 0n, host.at(1), 0x33n, 0x202n, host.at(3), 0x2bn);
    const entry = (op: number, ...args: bigint[]) => [
      BigInt(op),
      0n,
      ...args,
      ...Array(6 - args.length).fill(0n),
    ];
    host.poke(
      arg,
      ...entry(abi.__HYPERVISOR_iret),
      ...entry(abi.__HYPERVISOR_stack_switch, 0xe02bn, 0x1234_0000n),
    );
    host.enter();
    host.cpu.regs.gpr[GPR.rsp] = frame;
    host.hypercall(abi.__HYPERVISOR_multicall, arg, 2);
    expect(host.vcpu.kernelMode).toBe(false);
    expect(host.vcpu.kernelSp).not.toBe(0x1234_0000n);
  });
});

describe('registers', () => {
  it('XSA-12: DR7 takes no bits above 31, no general detect, and no breakpoint in Xen', () => {
    const debug = (register: number, value: bigint) =>
      host.hypercall(abi.__HYPERVISOR_set_debugreg, register, value);
    expect(debug(7, 1n << 32n)).toBeLessThan(0);
    expect(debug(7, 1n << 13n)).toBe(-abi.EPERM);
    for (const register of [0, 1, 2, 3]) expect(debug(register, XEN)).toBe(-abi.EPERM);
    expect([...host.vcpu.dr, host.vcpu.dr7]).toEqual([0n, 0n, 0n, 0n, 0x400n]);
  });

  it('XSA-293 and its like: segment bases are addresses', () => {
    for (const which of [abi.SEGBASE_FS, abi.SEGBASE_GS_KERNEL, abi.SEGBASE_GS_USER]) {
      expect(host.hypercall(abi.__HYPERVISOR_set_segment_base, which, NON_CANONICAL)).toBe(-abi.EINVAL);
    }
  });

  it('debug registers of one vCPU are not seen by another', () => {
    expect(host.hypercall(abi.__HYPERVISOR_set_debugreg, 0, 0x4000n)).toBe(0);
    const second = host.start(1, HANDLER);
    expect(host.hypercallOf(second, abi.__HYPERVISOR_get_debugreg, 0)).toBe(0);
  });
});

describe('areas that Xen writes to', () => {
  const register = (mfn: number, offset: number, vcpu = 1): number => {
    host.poke(arg, BigInt(mfn), offset, 0);
    return host.hypercall(abi.__HYPERVISOR_vcpu_op, abi.VCPUOP_register_vcpu_info, vcpu, arg);
  };

  it('vcpu_info lies within a page of the guest’s own that is plain memory, and stays there', () => {
    expect(register(host.frame(5), 4096 - 63)).toBe(-abi.ENXIO);
    expect(register(host.frame(5), 0xffff_ffff)).toBe(-abi.ENXIO);
    expect(register(host.frame(19), 0)).toBe(-abi.EINVAL); // a page table
    expect(register(2047, 0)).toBe(-abi.EINVAL); // nobody's
    expect(register(0x7fff_ffff, 0)).toBe(-abi.EINVAL);
    expect(register(host.frame(5), 0)).toBe(0);
    expect(register(host.frame(6), 0)).toBe(-abi.EINVAL);
  });

  it('runstate and time areas that are not mapped, or read-only, are left alone', () => {
    for (const address of [0x10n, XEN, NON_CANONICAL, host.at(15, 0xffc)]) {
      host.poke(arg, address);
      for (const op of [abi.VCPUOP_register_runstate_memory_area, abi.VCPUOP_register_vcpu_time_memory_area])
        host.hypercall(abi.__HYPERVISOR_vcpu_op, op, 0, arg);
      host.hypercall(abi.__HYPERVISOR_sched_op, abi.SCHEDOP_yield);
    }
    expect(host.domain.stopped).toBe(false);
  });
});

describe('memory of others', () => {
  it('XSA-100: frames that a guest gets are empty, whoever had them', () => {
    const frame = host.frame(30);
    host.machine.bytes.fill(0x5a, frame * 4096, (frame + 1) * 4096);
    destroyDomain(host.hv, host.domain);
    expect(host.hv.memory.frames.owner(frame)).toBe(abi.DOMID_INVALID);
    const { frames } = host.hv.memory;
    let got = -1;
    while (got !== frame) got = frames.allocate(7);
    expect(host.machine.bytes.subarray(frame * 4096, (frame + 1) * 4096).every((byte) => byte === 0)).toBe(
      true,
    );
  });

  it.each([
    ['current_reservation', abi.XENMEM_current_reservation],
    ['maximum_reservation', abi.XENMEM_maximum_reservation],
    ['maximum_gpfn', abi.XENMEM_maximum_gpfn],
  ])('XENMEM_%s tells a guest about itself only', (_name, command) => {
    const ask = (domid: number) => {
      host.poke(arg, domid);
      return host.hypercall(abi.__HYPERVISOR_memory_op, command, arg);
    };
    expect(ask(abi.DOMID_SELF)).toBeGreaterThanOrEqual(0);
    for (const domid of [0, 2, abi.DOMID_XEN, abi.DOMID_IO, abi.DOMID_INVALID])
      expect(ask(domid)).toBeLessThan(0);
  });
});
