import { Exit, type PrivilegedInstruction } from '@xenolith/cpu-emulator';
import {
  __HYPERVISOR_callback_op,
  __HYPERVISOR_mmuext_op,
  __HYPERVISOR_set_gdt,
  __HYPERVISOR_update_va_mapping,
  CALLBACKF_mask_events,
  CALLBACKOP_register,
  CALLBACKTYPE_failsafe,
  DOMID_SELF,
  FLAT_KERNEL_CS64,
  MMUEXT_SET_LDT,
} from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { GPR, SEG, VECTOR } from '../arch/x86.js';
import { testHost } from '../testing/test-host.js';

const RIP = 0x40_1234n;
const GP = 0x5000n;
const PF = 0x6000n;
const DATA = 0x00cf_f300_0000_ffffn;
const READ_ONLY = 5n;

/** A vCPU with handlers of #GP and #PF, which meets MOV to DS of 2 bytes. */
function machine() {
  const host = testHost();
  // The user's tables map the same pages writable.
  host.hv.memory.setUserBase(host.vcpu, 0);
  host.vcpu.traps.set(VECTOR.generalProtection, GP, FLAT_KERNEL_CS64, 0);
  host.vcpu.traps.set(VECTOR.pageFault, PF, FLAT_KERNEL_CS64, 0);
  const { regs } = host.cpu;
  const exit = (privileged: PrivilegedInstruction) => {
    host.enter();
    regs.rip = RIP;
    Object.assign(host.cpu, { privileged, length: 2 });
    host.hv.handle(Exit.privileged);
    return regs.rip;
  };
  const load = (selector: number) => exit({ op: 'loadSegment', segment: SEG.ds, selector, popped: 0 });
  /** Maps a data page read-only, so that it can hold descriptors. */
  const protect = (page: number) => {
    const entry = (BigInt(host.frame(page)) << 12n) | READ_ONLY;
    expect(host.hypercall(__HYPERVISOR_update_va_mapping, host.at(page), entry, 2)).toBe(0);
  };
  const setLdt = (linear: bigint, entries: number) => {
    host.poke(host.at(1), MMUEXT_SET_LDT, 0, linear, BigInt(entries));
    return host.hypercall(__HYPERVISOR_mmuext_op, host.at(1), 1, 0, DOMID_SELF);
  };
  const word = (n: number) => host.hv.access.readU64(regs.gpr[GPR.rsp]! + BigInt(n * 8));
  return { ...host, regs, exit, load, protect, setLdt, word };
}

describe('the GDT', () => {
  // xen/arch/x86/pv/descriptor-tables.c, pv_set_gdt: the processor's limit is that of Xen's own descriptors.
  it('has all descriptors of a frame, however few were announced; those behind it are null', () => {
    const m = machine();
    m.poke(m.at(14, 40 * 8), DATA);
    m.protect(14);
    m.poke(m.at(2), BigInt(m.frame(14)));
    expect(m.hypercall(__HYPERVISOR_set_gdt, m.at(2), 1)).toBe(0);
    expect(m.load((40 << 3) | 3)).toBe(RIP + 2n);
    expect(m.load((41 << 3) | 3)).toBe(GP);
    expect(m.word(2)).toBe(41n << 3n);
    expect(m.load((600 << 3) | 3)).toBe(GP);
  });
});

describe('the LDT', () => {
  // xen/arch/x86/traps.c, handle_ldt_mapping_fault
  it('is mapped when it is used: until then its pages may be anything, and a bad one is a page fault', () => {
    const m = machine();
    expect(m.setLdt(m.at(14), 8192)).toBe(0);
    m.poke(m.at(14, 16), DATA);
    // Still writable, so it may not hold descriptors.
    expect(m.load((2 << 3) | 7)).toBe(PF);
    expect([m.vcpu.cr2, m.word(2)]).toEqual([m.at(14, 16), 0n]);
    m.protect(14);
    expect(m.load((2 << 3) | 7)).toBe(RIP + 2n);
    // Beyond the mapped pages.
    const far = (512 * 3) << 3;
    expect(m.load(far | 7)).toBe(PF);
    expect(m.vcpu.cr2).toBe(m.at(17));
    // LAR reads it too.
    const lar = { op: 'lar', selector: far | 7, gpr: GPR.rbx, operandSize: 8 } as const;
    expect(m.exit(lar)).toBe(PF);
  });

  it('a descriptor behind its limit, or at an address that is not canonical, is a #GP with the selector', () => {
    const m = machine();
    m.setLdt(m.at(14), 2);
    expect(m.load((2 << 3) | 7)).toBe(GP);
    expect(m.word(2)).toBe(BigInt((2 << 3) | 4));
    expect(m.setLdt(0x7fff_ffff_f000n, 1024)).toBe(0);
    expect(m.load((512 << 3) | 7)).toBe(GP);
    expect(m.word(2)).toBe(BigInt((512 << 3) | 4));
  });
});

describe('the failsafe callback', () => {
  // xen/arch/x86/domain.c, load_segments; its stack: callback.h.
  it('gets the selectors when a vCPU comes back to segments that are gone', () => {
    const m = testHost({}, { vcpus: 2 });
    m.poke(m.at(2), CALLBACKTYPE_failsafe | (CALLBACKF_mask_events << 16), 0, 0x7000n);
    expect(m.hypercall(__HYPERVISOR_callback_op, CALLBACKOP_register, m.at(2))).toBe(0);
    m.hv.info.setUpcallMask(m.vcpu, 0);
    const { regs } = m.cpu;
    regs.selectors.set([0xe02b, 0x4b], SEG.ds);
    regs.rip = RIP;
    regs.gpr[GPR.rsp] = m.at(15, 0x800);
    m.enter(m.start(1, 0x40_2000n));
    const seen: unknown[] = [];
    for (let n = 0; n < 2; n++) {
      m.cpu.script.push((cpu) => {
        const sp = cpu.regs.gpr[GPR.rsp]!;
        const words = [2, 3, 4, 5, 6].map((i) => m.hv.access.readU64(sp + BigInt(i * 8)));
        if (cpu.regs.rip === 0x7000n) seen.push([...words, cpu.regs.selectors[SEG.fs]]);
        m.hv.yieldVcpu();
        return Exit.pause;
      });
    }
    m.hv.run(100);
    expect(seen).toEqual([[0xe02bn, 0n, 0x4bn, 0n, RIP, 0]]);
    expect(m.hv.info.upcallMask(m.vcpu)).toBe(1);
  });
});
