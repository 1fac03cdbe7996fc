import { SEG } from '../arch/x86.js';
import type { CrashReport, Domain, VcpuReport, VcpuState } from './domain.js';
import { loadInitialRegisters } from './initial-registers.js';
import type { Running } from './running.js';
import type { Vcpu } from './vcpu.js';

const CODE_BYTES = 15;
const STACK_WORDS = 16;

/** All vCPUs of a domain at the moment of its crash. @param current the vCPU whose registers are in the processor */
export function reportCrash(
  run: Running,
  domain: Domain,
  current: Vcpu | undefined,
  reason: string,
): CrashReport | undefined {
  const known = domain.vcpus.filter((vcpu) => vcpu.initialised);
  const first = known.find((vcpu) => vcpu === current) ?? known[0];
  if (!first) return undefined;
  const report = (vcpu: Vcpu) =>
    vcpu === current ? reportVcpu(run, vcpu, stateOf(vcpu, true)) : reportSaved(run, vcpu, current);
  const others = known.filter((vcpu) => vcpu !== first);
  return { ...report(first), reason, others: others.map(report) };
}

function stateOf(vcpu: Vcpu, current: boolean): VcpuState {
  if (vcpu.down) return 'down';
  if (vcpu.blocked) return 'blocked';
  return current ? 'running' : 'runnable';
}

/** Takes the processor for a vCPU that is not the running one, and gives it back. */
function reportSaved(run: Running, vcpu: Vcpu, current: Vcpu | undefined): VcpuReport {
  const { cpu, spaces } = run;
  const { initial, saved } = vcpu;
  const before = new Uint8Array(cpu.stateSize);
  cpu.saveState(before);
  if (initial) loadInitialRegisters(cpu, initial);
  else if (saved) cpu.loadState(saved);
  cpu.setDomain(vcpu.domain.domid);
  spaces.activate(vcpu);
  const report = reportVcpu(run, vcpu, stateOf(vcpu, false));
  cpu.loadState(before);
  if (current) {
    cpu.setDomain(current.domain.domid);
    spaces.activate(current);
  } else spaces.current = undefined;
  return report;
}

/** The vCPU whose registers are in the processor. */
function reportVcpu(run: Running, vcpu: Vcpu, state: VcpuState): VcpuReport {
  const { regs } = run.cpu;
  const code: number[] = [];
  for (let i = 0; i < CODE_BYTES; i++) {
    const byte = run.access.copyFrom(BigInt.asUintN(64, regs.rip + BigInt(i)), 1);
    if (!byte) break;
    code.push(byte[0]!);
  }
  const stack: bigint[] = [];
  for (let i = 0; i < STACK_WORDS; i++) {
    const word = run.access.readU64(BigInt.asUintN(64, regs.gpr[4]! + BigInt(i * 8)));
    if (word === undefined) break;
    stack.push(word);
  }
  return {
    vcpu: vcpu.vcpuId,
    state,
    gpr: [...regs.gpr],
    rip: regs.rip,
    rflags: regs.rflags,
    selectors: [...regs.selectors].slice(0, SEG.gs + 1),
    fsBase: regs.fsBase,
    gsBase: regs.gsBase,
    cr2: vcpu.cr2,
    cr3: BigInt(vcpu.kernelMode ? vcpu.guestTable : vcpu.guestTableUser),
    kernelMode: vcpu.kernelMode,
    code: Uint8Array.from(code),
    stack,
    recent: vcpu.recent.list(),
  };
}
