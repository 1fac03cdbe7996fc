import { Exit } from '@xenolith/cpu-emulator';
import { MachineMemory } from '@xenolith/mmu';
import {
  FLAT_KERNEL_CS64,
  FLAT_KERNEL_SS64,
  VcpuGuestContext,
  VGCF_in_kernel,
  VGCF_online,
} from '@xenolith/xen-abi';
import { GPR } from '../arch/x86.js';
import { createDomain } from '../domain/create.js';
import type { Domain, DomainSettings } from '../domain/domain.js';
import { setInfoGuest } from '../domain/set-info-guest.js';
import type { Vcpu } from '../domain/vcpu.js';
import { Hypervisor, type HypervisorOptions } from '../hypervisor.js';
import { FakeProcessor } from './fake-processor.js';

/** Where the test domain's memory is mapped: page n of its data pages at BASE + n × 4096. */
export const BASE = 0x40_0000n;
export const DATA_PAGES = 16;
const USER = 4n;
const PRESENT_RW_USER = 3n | USER;

export interface TestHost {
  hv: Hypervisor;
  cpu: FakeProcessor;
  machine: MachineMemory;
  domain: Domain;
  vcpu: Vcpu;
  shutdowns: [domid: number, reason: number][];
  /** Linear address of byte `offset` of data page `page`. */
  at(page: number, offset?: number): bigint;
  /** Machine frame of a data page. */
  frame(page: number): number;
  /** Makes the vCPU the running one, as the main loop does. */
  enter(vcpu?: Vcpu): void;
  /** One hypercall of vCPU 0 by SYSCALL; the result as a signed number. */
  hypercall(number: number, ...args: (number | bigint)[]): number;
  /** The same of another vCPU. */
  hypercallOf(vcpu: Vcpu, number: number, ...args: (number | bigint)[]): number;
  /** Initialises another vCPU, on the tables of vCPU 0 and with the stack in page 14, and brings it up. */
  start(id: number, rip: bigint): Vcpu;
  /** Writes u32 words or bigint u64 words at an address of the guest. */
  poke(address: bigint, ...words: (number | bigint)[]): void;
}

/** A host with one PV domain: 16 data pages mapped writable, its vCPU in kernel mode with the stack in page 15. */
export function testHost(
  options: Partial<HypervisorOptions> = {},
  settings: Partial<DomainSettings> = {},
): TestHost {
  const machine = options.machine ?? new MachineMemory(2048);
  const cpu = new FakeProcessor(machine);
  const shutdowns: [number, number][] = [];
  const hv = new Hypervisor({
    processor: cpu,
    machine,
    strict: true,
    inputs: { monotonicNs: () => 0, wallclockNs: () => 1_700_000_000_123_456_789n, randomFill() {} },
    onShutdown: (domain, reason) => shutdowns.push([domain.domid, reason]),
    ...options,
  });
  const domain = createDomain(hv, { memoryPages: 64, vcpus: 1, ...settings });
  // pfn 0 … 15 data, 16 … 19 the tables of the kernel, 20 … 23 those of the user.
  const entry = (pfn: number, flags: bigint) => (BigInt(domain.p2m[pfn]!) << 12n) | flags;
  const set = (table: number, slot: number, value: bigint) =>
    machine.view.setBigUint64(domain.p2m[table]! * 4096 + slot * 8, value, true);
  for (const tables of [16, 20]) {
    for (let n = 0; n < DATA_PAGES; n++) set(tables + 3, n, entry(n, PRESENT_RW_USER));
    set(tables + 2, 2, entry(tables + 3, PRESENT_RW_USER));
    set(tables + 1, 0, entry(tables + 2, PRESENT_RW_USER));
    set(tables, 0, entry(tables + 1, PRESENT_RW_USER));
  }
  const context = VcpuGuestContext.create();
  context.flags = BigInt(VGCF_in_kernel | VGCF_online);
  context.user_regs.rip = BASE;
  context.user_regs.rsp = BASE + 0xf000n + 0xff8n;
  context.user_regs.rflags = 0x202n;
  context.user_regs.cs = FLAT_KERNEL_CS64;
  context.user_regs.ss = FLAT_KERNEL_SS64;
  context.kernel_sp = BASE + 0xf000n + 0x800n;
  context.ctrlreg.set(3, BigInt(domain.p2m[16]!) << 12n);
  context.ctrlreg.set(1, BigInt(domain.p2m[20]!) << 12n);
  const rc = setInfoGuest(hv, domain.vcpus[0]!, context);
  if (rc !== 0) throw new Error(`setInfoGuest: ${rc}`);
  hv.unpauseDomain(domain);

  const host: TestHost = {
    hv,
    cpu,
    machine,
    domain,
    vcpu: domain.vcpus[0]!,
    shutdowns,
    at: (page, offset = 0) => BASE + BigInt(page * 4096 + offset),
    frame: (page) => domain.p2m[page]!,
    enter: (vcpu = domain.vcpus[0]!) => hv.switchTo(vcpu),
    hypercall: (number, ...args) => host.hypercallOf(domain.vcpus[0]!, number, ...args),
    hypercallOf(vcpu, number, ...args) {
      host.enter(vcpu);
      const { regs } = cpu;
      const { rip } = regs;
      regs.gpr[GPR.rax] = BigInt(number);
      const registers = [GPR.rdi, GPR.rsi, GPR.rdx, GPR.r10, GPR.r8, GPR.r9];
      args.forEach((value, i) => {
        regs.gpr[registers[i]!] = BigInt.asUintN(64, BigInt(value));
      });
      cpu.length = 2;
      hv.handle(Exit.syscall);
      const result = Number(BigInt.asIntN(64, regs.gpr[GPR.rax]!));
      regs.rip = rip;
      return result;
    },
    start(id, rip) {
      const vcpu = domain.vcpus[id]!;
      context.flags = BigInt(VGCF_in_kernel | VGCF_online);
      context.user_regs.rip = rip;
      context.user_regs.rsp = BASE + 0xe000n + 0xff8n;
      context.kernel_sp = BASE + 0xe000n + 0x800n;
      const rc = setInfoGuest(hv, vcpu, context);
      if (rc !== 0) throw new Error(`setInfoGuest: ${rc}`);
      return vcpu;
    },
    poke(address, ...words) {
      host.enter();
      let to = address;
      for (const word of words) {
        const ok =
          typeof word === 'bigint'
            ? hv.access.writeU64(to, BigInt.asUintN(64, word))
            : hv.access.writeU32(to, word);
        if (!ok) throw new Error(`nothing is mapped at ${to.toString(16)}`);
        to += typeof word === 'bigint' ? 8n : 4n;
      }
    },
  };
  return host;
}
