import type { PrivilegedInstruction } from '@xenolith/cpu-emulator';
import { FIRST_RESERVED_GDT_ENTRY } from '@xenolith/xen-abi';
import { CR0, U32, XEN_CR0 } from '../arch/x86.js';
import type { Running } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';
import { injectPageFault } from './inject.js';
import type { Outcome } from './privileged.js';

/*
 * SGDT, SIDT, SLDT, STR and SMSW are not privileged, and Xen 4.17 does not set CR4.UMIP for PV guests: they see the registers
 * that Xen itself runs with (xen/arch/x86/include/asm/config.h and desc.h).
 */

/** Start of the per-domain mappings; each vCPU has 32 pages there, its GDT first. */
const PERDOMAIN_START = 0xffff_8200_0000_0000n;
const GDT_LDT_AREA = 32n * 4096n;
/** The guest's entries, and one page of Xen's. */
const GDT_LIMIT = FIRST_RESERVED_GDT_ENTRY * 8 + 4095;
/** In Xen's image, which differs from build to build. */
const IDT_BASE = 0xffff_82d0_4060_0000n;
const IDT_LIMIT = 256 * 16 - 1;
const TSS_SELECTOR = (FIRST_RESERVED_GDT_ENTRY + 8) * 8;
const LDT_SELECTOR = (FIRST_RESERVED_GDT_ENTRY + 10) * 8;

const bytesOf = (value: bigint, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));

function store(run: Running, vcpu: Vcpu, address: bigint, bytes: Uint8Array): Outcome {
  if (run.access.copyTo(address, bytes)) return 'done';
  injectPageFault(run, vcpu, 2, address);
  return 'handled';
}

/** SGDT and SIDT: a limit of 16 bits, then the base. */
export function storeTable(
  run: Running,
  vcpu: Vcpu,
  insn: Extract<PrivilegedInstruction, { op: 'sgdt' | 'sidt' }>,
): Outcome {
  const gdt = insn.op === 'sgdt';
  const base = gdt ? PERDOMAIN_START + BigInt(vcpu.vcpuId) * GDT_LDT_AREA : IDT_BASE;
  const value = (base << 16n) | BigInt(gdt ? GDT_LIMIT : IDT_LIMIT);
  return store(run, vcpu, insn.address, bytesOf(value, run.cpu.regs.long ? 10 : 6));
}

/** SLDT, STR and SMSW: 16 bits to memory; a register takes as much as the operand size says. */
export function storeWord(
  run: Running,
  vcpu: Vcpu,
  insn: Extract<PrivilegedInstruction, { op: 'sldt' | 'str' | 'smsw' }>,
): Outcome {
  const { regs, taskSwitched } = run.cpu;
  const ldt = vcpu.ldtEntries > 0 ? LDT_SELECTOR : 0;
  const cr0 = XEN_CR0 | (taskSwitched ? CR0.ts : 0n);
  const value = insn.op === 'smsw' ? cr0 : BigInt(insn.op === 'str' ? TSS_SELECTOR : ldt);
  if (insn.address !== undefined) return store(run, vcpu, insn.address, bytesOf(value, 2));
  const old = regs.gpr[insn.gpr]!;
  regs.gpr[insn.gpr] = insn.operandSize === 2 ? (old & ~0xffffn) | (value & 0xffffn) : value & U32;
  return 'done';
}
