import { Exit, type PrivilegedInstruction } from '@xenolith/cpu-emulator';
import { FLAT_KERNEL_CS64, XEN_CPUID_SIGNATURE_EBX } from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { FLAG, GPR, SEG, VECTOR } from '../arch/x86.js';
import { testHost } from '../testing/test-host.js';

const RIP = 0x40_1234n;
const GP = 0x5000n;
const UD = 0x6000n;
const DB = 0x7000n;

/** A host whose vCPU meets one privileged instruction of 2 bytes. */
function meet(insn: PrivilegedInstruction, prepare?: (host: ReturnType<typeof testHost>) => void) {
  const host = testHost();
  host.enter();
  const { regs } = host.cpu;
  for (const [vector, address] of [
    [VECTOR.generalProtection, GP],
    [VECTOR.invalidOpcode, UD],
    [VECTOR.debug, DB],
  ] as const) {
    host.vcpu.traps.set(vector, address, FLAT_KERNEL_CS64, 0);
  }
  regs.rip = RIP;
  prepare?.(host);
  const run = (next: PrivilegedInstruction) => {
    Object.assign(host.cpu, { privileged: next, length: 2 });
    host.hv.handle(Exit.privileged);
  };
  run(insn);
  return { ...host, regs, run };
}

const DONE = RIP + 2n;

describe('what Xen emulates for PV kernels', () => {
  it('CR0: reads it as Xen runs, writes only TS', () => {
    const { regs, run, cpu, vcpu } = meet({ op: 'readCr', register: 0, gpr: GPR.rbx });
    expect([regs.rip, regs.gpr[GPR.rbx]]).toEqual([DONE, 0x8005_0033n]);
    regs.gpr[GPR.rbx] = 0x8005_003bn;
    run({ op: 'writeCr', register: 0, gpr: GPR.rbx });
    expect([cpu.taskSwitched, vcpu.cr0 & 8n]).toEqual([true, 8n]);
    run({ op: 'clts' });
    expect([cpu.taskSwitched, vcpu.cr0 & 8n]).toEqual([false, 0n]);
    regs.gpr[GPR.rbx] = 0x33n;
    run({ op: 'writeCr', register: 0, gpr: GPR.rbx });
    expect(regs.rip).toBe(GP);
  });

  it('CR3 holds the frame of the kernel’s table, and takes only validated ones', () => {
    const host = meet({ op: 'readCr', register: 3, gpr: GPR.rax });
    expect(host.regs.gpr[GPR.rax]).toBe(BigInt(host.frame(16)) << 12n);
    host.regs.gpr[GPR.rax] = BigInt(host.frame(20)) << 12n;
    const { asid } = host.cpu;
    host.run({ op: 'writeCr', register: 3, gpr: GPR.rax });
    expect([host.vcpu.guestTable, host.cpu.root]).toEqual([host.frame(20), host.frame(20)]);
    expect(host.cpu.asid).not.toBe(asid);
    host.regs.gpr[GPR.rax] = BigInt(host.frame(0)) << 12n;
    host.run({ op: 'writeCr', register: 3, gpr: GPR.rax });
    expect(host.regs.rip).toBe(GP);
  });

  it('CR4 and CR2 are virtual; CR8 is not there', () => {
    const { regs, run, vcpu } = meet({ op: 'readCr', register: 4, gpr: GPR.rax });
    expect(regs.gpr[GPR.rax]).toBe(0x620n);
    regs.gpr[GPR.rax] = 0xffff_ffffn;
    run({ op: 'writeCr', register: 4, gpr: GPR.rax });
    expect(vcpu.cr4).toBe(0x62cn);
    run({ op: 'writeCr', register: 2, gpr: GPR.rax });
    expect(vcpu.cr2).toBe(0xffff_ffffn);
    run({ op: 'readCr', register: 8, gpr: GPR.rax });
    expect(regs.rip).toBe(GP);
  });

  it.each([
    [0xc000_0080, 0xd01n],
    [0xc000_0101, 0x1111n],
    [0xc000_0102, 0x2222n],
    [0x1b, 0xfee0_0900n],
    [0x277, 0x0501_0007_0406n],
    [0xc001_1029, 2n],
    [0x8b, 0x0a20_1210n],
    [0xce, 0n],
  ])('RDMSR %i', (index, value) => {
    const { regs } = meet({ op: 'rdmsr', index }, ({ cpu, vcpu }) => {
      cpu.regs.gsBase = 0x1111n;
      vcpu.gsBaseUser = 0x2222n;
    });
    expect(regs.rip).toBe(DONE);
    expect(regs.gpr[GPR.rax]! | (regs.gpr[GPR.rdx]! << 32n)).toBe(value);
  });

  it.each([[0x1234], [0x1a0], [0x3a], [0x4000_0001], [0x830]])('RDMSR %i is #GP', (index) => {
    expect(meet({ op: 'rdmsr', index }).regs.rip).toBe(GP);
  });

  it.each([
    [0xc000_0080, 0xd01n, true],
    [0xc000_0080, 0xd00n, false],
    [0xc000_0101, 0x7fff_0000n, true],
    [0xc000_0101, 0x8000_0000_0000_0000n, false],
    [0x1b, 0n, false],
    [0xc001_1029, 5n, true],
    [0x1234, 0n, false],
  ])('WRMSR %i of %i is allowed: %s', (index, value, ok) => {
    const { regs } = meet({ op: 'wrmsr', index }, ({ cpu }) => {
      cpu.regs.gpr[GPR.rax] = value & 0xffff_ffffn;
      cpu.regs.gpr[GPR.rdx] = value >> 32n;
    });
    expect(regs.rip).toBe(ok ? DONE : GP);
  });

  it('debug registers keep what was written; DR4 is DR6 unless DE is set', () => {
    const { regs, run, vcpu } = meet({ op: 'writeDr', register: 7, gpr: GPR.rax });
    run({ op: 'readDr', register: 4, gpr: GPR.rax });
    expect(regs.gpr[GPR.rax]).toBe(0xffff_0ff0n);
    vcpu.cr4 |= 8n;
    run({ op: 'readDr', register: 4, gpr: GPR.rax });
    expect(regs.rip).toBe(UD);
  });

  it('a set TF traps behind an emulated instruction', () => {
    const { regs, vcpu } = meet({ op: 'wbinvd' }, ({ cpu }) => {
      cpu.regs.rflags |= FLAG.tf;
    });
    expect(regs.rip).toBe(DB);
    expect(vcpu.dr6 & 0x4000n).toBe(0x4000n);
  });

  it.each([
    ['hlt', GP],
    ['cli', GP],
    ['swapgs', GP],
    ['sysret', GP],
    ['invd', GP],
    ['rdpmc', GP],
    ['xsetbv', UD],
    ['vmcall', UD],
    ['sysenter', UD],
  ] as const)('%s is refused', (op, handler) => {
    expect(meet({ op }).regs.rip).toBe(handler);
  });

  it('nothing of this is for user mode', () => {
    const { regs } = meet({ op: 'readCr', register: 0, gpr: 0 }, ({ vcpu }) => {
      vcpu.kernelMode = false;
    });
    expect(regs.rip).toBe(GP);
  });
});

describe('CPUID', () => {
  it('shows Xen’s leaves, and the policy elsewhere', () => {
    const { regs, run, cpu } = meet({ op: 'cpuid' }, ({ cpu }) => {
      cpu.regs.gpr[GPR.rax] = 0x4000_0000n;
    });
    expect(regs.gpr[GPR.rbx]).toBe(BigInt(XEN_CPUID_SIGNATURE_EBX));
    regs.gpr[GPR.rax] = 0x4000_0001n;
    run({ op: 'cpuid' });
    expect(regs.gpr[GPR.rax]).toBe(0x4_0011n);
    cpu.regs.gpr[GPR.rax] = 0n;
    run({ op: 'cpuid' });
    const text = [GPR.rbx, GPR.rdx, GPR.rcx].map((r) => {
      const v = Number(regs.gpr[r]!);
      return String.fromCharCode(v & 255, (v >> 8) & 255, (v >> 16) & 255, v >>> 24);
    });
    expect(text.join('')).toBe('AuthenticAMD');
  });

  it('is executed behind the forced emulation prefix, and only there', () => {
    const host = testHost();
    host.enter();
    host.vcpu.traps.set(VECTOR.invalidOpcode, UD, FLAT_KERNEL_CS64, 0);
    const at = host.at(1, 0x10);
    host.hv.access.copyTo(at, Uint8Array.of(0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2));
    host.cpu.regs.rip = at;
    host.cpu.regs.gpr[GPR.rax] = 0x4000_0000n;
    host.cpu.vector = VECTOR.invalidOpcode;
    host.hv.handle(Exit.exception);
    expect(host.cpu.regs.rip).toBe(at + 7n);
    expect(host.cpu.regs.gpr[GPR.rbx]).toBe(BigInt(XEN_CPUID_SIGNATURE_EBX));
    host.hv.handle(Exit.exception);
    expect(host.cpu.regs.rip).toBe(UD);
  });
});

describe('I/O ports', () => {
  it('are refused by IOPL 0, allowed by IOPL 1 for the kernel, and read all ones where nothing is', () => {
    const refused = meet({ op: 'in', port: 0x80, size: 1 });
    expect(refused.regs.rip).toBe(GP);
    const { regs, run } = meet({ op: 'in', port: 0x80, size: 2 }, ({ vcpu, cpu }) => {
      vcpu.iopl = 1;
      cpu.regs.gpr[GPR.rax] = 0x1234_5678_9abc_def0n;
    });
    expect(regs.gpr[GPR.rax]).toBe(0x1234_5678_9abc_ffffn);
    run({ op: 'in', port: 0x50, size: 4 });
    expect(regs.gpr[GPR.rax]).toBe(0xffff_ffffn);
    regs.gpr[GPR.rax] = 0x8f8fn;
    run({ op: 'out', port: 0x70, size: 1 });
    run({ op: 'in', port: 0x70, size: 1 });
    expect(regs.gpr[GPR.rax]).toBe(0x8f8fn);
    run({ op: 'in', port: 0x71, size: 1 });
    expect(regs.gpr[GPR.rax]).toBe(0x8fffn);
  });

  it('are allowed one by one by the bitmap', () => {
    const { regs, run, hv, at } = meet({ op: 'in', port: 0x43, size: 1 }, ({ vcpu, at, hv }) => {
      vcpu.ioBitmap = at(4);
      vcpu.ioBitmapPorts = 0x100;
      hv.access.copyTo(at(4), new Uint8Array(32).fill(0xff));
      hv.access.copyTo(at(4, 8), Uint8Array.of(0xf3));
    });
    expect(hv.access.copyFrom(at(4, 8), 1)).toEqual(Uint8Array.of(0xf3));
    expect(regs.rip).toBe(DONE);
    run({ op: 'in', port: 0x43, size: 2 });
    expect(regs.rip).toBe(GP);
  });

  it('REP OUTS does an element at a time', () => {
    const { regs, run, vcpu, at } = meet({ op: 'wbinvd' }, ({ vcpu }) => {
      vcpu.iopl = 1;
    });
    expect(vcpu.iopl).toBe(1);
    regs.gpr[GPR.rcx] = 2n;
    regs.gpr[GPR.rsi] = at(4);
    const outs = { op: 'outs', port: 0x80, size: 2, rep: true, address: at(4), addressSize: 8 } as const;
    run(outs);
    expect([regs.rip, regs.gpr[GPR.rcx], regs.gpr[GPR.rsi]]).toEqual([DONE, 1n, at(4) + 2n]);
    run(outs);
    expect([regs.rip, regs.gpr[GPR.rcx]]).toEqual([DONE + 2n, 0n]);
  });
});

describe('selectors', () => {
  const data = 0x00cf_f300_0000_ffffn;
  const withGdt = (host: ReturnType<typeof testHost>) => {
    const at = host.frame(14) * 4096;
    host.machine.view.setBigUint64(at + 8, data | (0x1234n << 16n), true);
    host.machine.view.setBigUint64(at + 16, 0x00af_fb00_0000_ffffn, true);
    host.machine.view.setBigUint64(at + 24, data & ~(1n << 47n), true);
    host.vcpu.gdtFrames = [host.frame(14)];
    host.vcpu.gdtEntries = 4;
  };

  it('a data segment is loaded from the GDT, with its base for FS', () => {
    const { regs } = meet({ op: 'loadSegment', segment: SEG.fs, selector: 0x0b, popped: 0 }, withGdt);
    expect([regs.rip, regs.selectors[SEG.fs], regs.fsBase]).toEqual([DONE, 0x0b, 0x1234n]);
  });

  it.each([
    [SEG.ds, 0x23, GP, 0x20n],
    [SEG.ss, 0x13, GP, 0x10n],
    [SEG.ss, 0x08, GP, 0x08n],
    [SEG.ds, 0xe00b, GP, 0xe008n],
  ])('segment %i cannot hold %i', (segment, selector, handler, error) => {
    const { regs, hv } = meet({ op: 'loadSegment', segment, selector, popped: 0 }, withGdt);
    expect(regs.rip).toBe(handler);
    expect(hv.access.readU64(regs.gpr[GPR.rsp]! + 16n)).toBe(error);
  });

  it('IRET within ring 3 takes everything from the stack', () => {
    const { regs, at } = meet({ op: 'iret', operandSize: 8, selector: 0, offset: 0n, pop: 0 }, (host) => {
      withGdt(host);
      host.poke(host.at(15, 0x100), 0x40_2000n, 0x13n, 0x287n, host.at(3), 0x0bn);
      host.cpu.regs.gpr[GPR.rsp] = host.at(15, 0x100);
    });
    expect([regs.rip, regs.selectors[SEG.cs], regs.selectors[SEG.ss]]).toEqual([0x40_2000n, 0x13, 0x0b]);
    expect(regs.gpr[GPR.rsp]).toBe(at(3));
    expect(regs.rflags & 0x85n).toBe(0x85n);
  });

  it('a far return to ring 0 is refused', () => {
    const { regs } = meet({ op: 'farReturn', operandSize: 8, selector: 0, offset: 0n, pop: 0 }, (host) => {
      withGdt(host);
      host.poke(host.at(15, 0x100), 0x40_2000n, 0x10n);
      host.cpu.regs.gpr[GPR.rsp] = host.at(15, 0x100);
    });
    expect(regs.rip).toBe(GP);
  });

  it('LAR and LSL answer for reachable descriptors only', () => {
    const { regs, run } = meet({ op: 'lsl', selector: 0x0b, gpr: GPR.rax, operandSize: 4 }, withGdt);
    expect([regs.gpr[GPR.rax], regs.rflags & 0x40n]).toEqual([0xffff_ffffn, 0x40n]);
    run({ op: 'lar', selector: 0xe00b, gpr: GPR.rax, operandSize: 4 });
    expect(regs.rflags & 0x40n).toBe(0n);
  });
});
