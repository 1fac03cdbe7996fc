import type { PrivilegedInstruction } from '@xenolith/cpu-emulator';
import { VMASST_TYPE_architectural_iopl } from '@xenolith/xen-abi';
import { FLAG, GPR, U32, U64 } from '../arch/x86.js';
import { portBreakpoints } from '../domain/debug-registers.js';
import type { Running } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';
import { injectPageFault } from './inject.js';
import type { Outcome } from './privileged.js';

const RTC_INDEX = 0x70;
const PCI_ADDRESS = 0xcf8;

/** The virtual IOPL, as seen from the mode that runs: the kernel counts as ring 1 unless IOPL is architectural. */
export function ioplAllows(vcpu: Vcpu): boolean {
  const kernel = vcpu.domain.hasAssist(VMASST_TYPE_architectural_iopl) ? 0 : 1;
  return (vcpu.kernelMode ? kernel : 3) <= vcpu.iopl;
}

/** The guest's own rules: its virtual IOPL, or its I/O bitmap (a clear bit allows). */
function guestAllows(run: Running, vcpu: Vcpu, port: number, size: number): boolean {
  if (ioplAllows(vcpu)) return true;
  if (port + size > vcpu.ioBitmapPorts) return false;
  const at = U64(vcpu.ioBitmap + BigInt(port >> 3));
  const bits = run.spaces.withKernelTables(vcpu, () => {
    const low = run.access.copyFrom(at, 1)?.[0] ?? 0xff;
    const high = run.access.copyFrom(U64(at + 1n), 1)?.[0] ?? 0xff;
    return low | (high << 8);
  });
  return (bits & (((1 << size) - 1) << (port & 7))) === 0;
}

export function portIn(run: Running, vcpu: Vcpu, port: number, size: 1 | 2 | 4): Outcome {
  if (!guestAllows(run, vcpu, port, size)) return 'gp';
  const { gpr } = run.cpu.regs;
  const value = BigInt(readPort(vcpu, port, size));
  const mask = (1n << BigInt(size * 8)) - 1n;
  gpr[GPR.rax] = size === 4 ? value : (gpr[GPR.rax]! & ~mask) | value;
  vcpu.debugMet = portBreakpoints(vcpu, port, size);
  return 'done';
}

export function portOut(run: Running, vcpu: Vcpu, port: number, size: 1 | 2 | 4): Outcome {
  if (!guestAllows(run, vcpu, port, size)) return 'gp';
  writePort(vcpu, port, size, Number(run.cpu.regs.gpr[GPR.rax]! & U32));
  vcpu.debugMet = portBreakpoints(vcpu, port, size);
  return 'done';
}

/** One element of INS or OUTS; with REP the instruction is come back to until RCX is 0. */
export function stringIo(
  run: Running,
  vcpu: Vcpu,
  insn: Extract<PrivilegedInstruction, { op: 'ins' | 'outs' }>,
): Outcome {
  const { regs } = run.cpu;
  const { gpr } = regs;
  const addressMask = (1n << BigInt(8 * insn.addressSize)) - 1n;
  const count = gpr[GPR.rcx]! & addressMask;
  if (insn.rep && count === 0n) return 'done';
  if (!guestAllows(run, vcpu, insn.port, insn.size)) return 'gp';
  if (insn.op === 'ins') {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, readPort(vcpu, insn.port, insn.size), true);
    if (!run.access.copyTo(insn.address, bytes.subarray(0, insn.size)))
      return fault(run, vcpu, insn.address, 2);
  } else {
    const bytes = run.access.copyFrom(insn.address, insn.size);
    if (!bytes) return fault(run, vcpu, insn.address, 0);
    const padded = new Uint8Array(4);
    padded.set(bytes);
    writePort(vcpu, insn.port, insn.size, new DataView(padded.buffer).getUint32(0, true));
  }
  const index = insn.op === 'ins' ? GPR.rdi : GPR.rsi;
  const step = BigInt(regs.rflags & FLAG.df ? -insn.size : insn.size);
  gpr[index] = (gpr[index]! + step) & addressMask;
  vcpu.debugMet = portBreakpoints(vcpu, insn.port, insn.size);
  if (!insn.rep) return 'done';
  gpr[GPR.rcx] = (count - 1n) & addressMask;
  return count > 1n ? 'again' : 'done';
}

function fault(run: Running, vcpu: Vcpu, address: bigint, errorCode: number): Outcome {
  injectPageFault(run, vcpu, errorCode, address);
  return 'handled';
}

const isPit = (port: number): boolean => port === 0x42 || port === 0x43 || port === 0x61;

/** No domain has ports of its own: the PIT, the index of the RTC and the PCI address are Xen's; the rest reads all ones. */
function readPort(vcpu: Vcpu, port: number, size: number): number {
  const { domain } = vcpu;
  if (port === PCI_ADDRESS && size === 4) return domain.pciAddress >>> 0;
  let data = 0;
  for (let i = 0; i < size; i++) {
    let byte = 0xff;
    if (isPit(port + i)) byte = domain.pit.read(port + i);
    else if (port + i === RTC_INDEX) byte = domain.cmosIndex;
    data |= byte << (8 * i);
  }
  return data >>> 0;
}

function writePort(vcpu: Vcpu, port: number, size: number, value: number): void {
  const { domain } = vcpu;
  if (port === PCI_ADDRESS && size === 4) {
    domain.pciAddress = value;
    return;
  }
  for (let i = 0; i < size; i++) {
    const byte = (value >>> (8 * i)) & 0xff;
    if (isPit(port + i)) domain.pit.write(port + i, byte);
    else if (port + i === RTC_INDEX) domain.cmosIndex = byte;
  }
}
