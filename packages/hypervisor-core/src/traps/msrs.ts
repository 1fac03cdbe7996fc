import { FrameType } from '@xenolith/mmu/frames';
import { isCanonical, U32 } from '../arch/x86.js';
import { POLICY_MSRS } from '../cpuid/policy.js';
import { fillHypercallPage } from '../domain/hypercall-page.js';
import type { Running } from '../domain/running.js';
import type { Vcpu } from '../domain/vcpu.js';

const MSR = {
  tsc: 0x10,
  apicBase: 0x1b,
  specCtrl: 0x48,
  patchLevel: 0x8b,
  platformInfo: 0xce,
  miscFeatures: 0x140,
  pat: 0x277,
  perfCapabilities: 0x345,
  efer: 0xc000_0080,
  fsBase: 0xc000_0100,
  gsBase: 0xc000_0101,
  kernelGsBase: 0xc000_0102,
  tscAux: 0xc000_0103,
  nbCfg: 0xc001_001f,
  hwcr: 0xc001_0015,
  deCfg: 0xc001_1029,
  xenHypercallPage: 0x4000_0000,
} as const;

const APIC_BASE = 0xfee0_0800n;
const APIC_BASE_BSP = 0x100n;
/** Xen's page attributes: WB WT UC- UC WC WP UC UC. */
const XEN_PAT = 0x0000_0501_0007_0406n;
const LFENCE_SERIALIZES = 2n;

const isPstate = (index: number): boolean =>
  (index >= 0xc001_0061 && index <= 0xc001_006b) || index === 0xc001_0041 || index === 0xc001_0042;

/** Value for RDMSR, or undefined: #GP (guest_rdmsr of xen/arch/x86/msr.c, read_msr of pv/emul-priv-op.c). */
export function readMsr(run: Running, vcpu: Vcpu, index: number): bigint | undefined {
  const { regs } = run.cpu;
  if (!vcpu.kernelMode) return undefined;
  switch (index) {
    case MSR.tsc:
      return run.cpu.tsc;
    case MSR.apicBase:
      return APIC_BASE | (vcpu.vcpuId === 0 ? APIC_BASE_BSP : 0n);
    case MSR.specCtrl:
      return vcpu.specCtrl;
    case MSR.patchLevel:
      return POLICY_MSRS.patchLevel;
    case MSR.pat:
      return XEN_PAT;
    case MSR.efer:
      return vcpu.efer;
    case MSR.fsBase:
      return regs.fsBase;
    case MSR.gsBase:
      return regs.gsBase;
    case MSR.kernelGsBase:
      return vcpu.gsBaseUser;
    case MSR.tscAux:
      return BigInt(vcpu.tscAux);
    case MSR.deCfg:
      return LFENCE_SERIALIZES;
    case MSR.platformInfo:
    case MSR.miscFeatures:
    case MSR.perfCapabilities:
    case MSR.hwcr:
    case MSR.nbCfg:
    case MSR.xenHypercallPage:
      return 0n;
    default:
      // Machine-check banks: none; they read as zeros.
      if (isPstate(index) || isMachineCheck(index)) return 0n;
      return undefined;
  }
}

const isMachineCheck = (index: number): boolean =>
  index <= 1 || (index >= 0x179 && index <= 0x17b) || (index >= 0x400 && index < 0x408);

/** WRMSR; false: #GP. Some writes are accepted and dropped, as Xen does. */
export function writeMsr(run: Running, vcpu: Vcpu, index: number, value: bigint): boolean {
  const { regs } = run.cpu;
  if (!vcpu.kernelMode) return false;
  switch (index) {
    case MSR.fsBase:
      if (!isCanonical(value)) return false;
      regs.fsBase = value;
      return true;
    case MSR.gsBase:
      if (!isCanonical(value)) return false;
      regs.gsBase = value;
      return true;
    case MSR.kernelGsBase:
      if (!isCanonical(value)) return false;
      vcpu.gsBaseUser = value;
      return true;
    case MSR.efer:
      // Linux writes back what it read; automatic IBRS is the only bit that may change.
      if ((value ^ vcpu.efer) & ~POLICY_MSRS.eferAutoIbrs) return false;
      vcpu.efer = value;
      return true;
    case MSR.specCtrl:
      if (value & ~1n) return false;
      vcpu.specCtrl = value;
      return true;
    case MSR.tscAux:
      if (value > U32) return false;
      vcpu.tscAux = Number(value);
      return true;
    case MSR.miscFeatures:
      return value === 0n;
    case MSR.hwcr:
    case MSR.nbCfg:
    case MSR.deCfg:
      return true;
    case MSR.xenHypercallPage:
      return writeHypercallPage(run, vcpu, value);
    default:
      return isPstate(index) || isMachineCheck(index);
  }
}

function writeHypercallPage(run: Running, vcpu: Vcpu, value: bigint): boolean {
  const { frames } = run.memory;
  const frame = value >> 12n;
  if (value & 0xfffn || frame >= BigInt(frames.machine.frames)) return false;
  const mfn = Number(frame);
  if (frames.getPageAndType(mfn, vcpu.domain.domid, FrameType.writable) !== 0) return false;
  fillHypercallPage(frames.machine.frame(mfn));
  frames.codeWritten(mfn * 4096, 4096);
  frames.putPageAndType(mfn);
  return true;
}
