import {
  EINVAL,
  ENODEV,
  EPERM,
  VMASST_TYPE_4gb_segments,
  VMASST_TYPE_4gb_segments_notify,
  VMASST_TYPE_architectural_iopl,
  VMASST_TYPE_m2p_strict,
  VMASST_TYPE_pae_extended_cr3,
  VMASST_TYPE_runstate_update_flag,
  VMASST_TYPE_writable_pagetables,
} from '@xenolith/xen-abi';
import { CR4, isCanonical, SEG } from '../arch/x86.js';
import { loadBreakpoints, setDebugRegister } from '../domain/debug-registers.js';
import { descriptorBase, isFault } from '../domain/descriptors.js';
import { Operations, plain } from '../operations.js';
import { guestIret } from '../traps/iret.js';
import { setTaskSwitched } from '../traps/privileged.js';
import { checkDataSegment } from '../traps/segments.js';
import { type Call, s32, u32, u64 } from './call.js';
import { fixupSelector } from './trap-handlers.js';

export function stackSwitch(call: Call): number {
  const { vcpu } = call;
  vcpu.kernelSs = fixupSelector(Number(u64(call, 0) & 0xffffn));
  vcpu.kernelSp = u64(call, 1);
  return 0;
}

export function fpuTaskswitch(call: Call): number {
  setTaskSwitched(call.hv, call.vcpu, s32(call, 0) !== 0);
  return 0;
}

const DEBUG_ERRORS = { absent: -ENODEV, invalid: -EINVAL, denied: -EPERM } as const;

export function setDebugreg(call: Call): number {
  const result = setDebugRegister(call.vcpu, s32(call, 0), u64(call, 1));
  if (result !== 0) return DEBUG_ERRORS[result];
  loadBreakpoints(call.hv.cpu, call.vcpu);
  return 0;
}

export function getDebugreg(call: Call): number | bigint {
  const { vcpu } = call;
  const register = s32(call, 0);
  if (register >= 0 && register <= 3) return vcpu.dr[register]!;
  if ((register === 4 || register === 5) && vcpu.cr4 & CR4.de) return -ENODEV;
  if (register === 4 || register === 6) return vcpu.dr6;
  return register === 5 || register === 7 ? vcpu.dr7 : -ENODEV;
}

/** set_segment_base: the base of FS or GS, or the user's GS selector. */
export const SEGMENT_BASES = new Operations<Call, 'SEGBASE_'>(
  'SEGBASE_',
  {
    FS: plain((call, base) => setBase(call, base, ({ hv }) => (hv.cpu.regs.fsBase = base))),
    GS_USER: plain((call, base) => setBase(call, base, ({ vcpu }) => (vcpu.gsBaseUser = base))),
    GS_KERNEL: plain((call, base) => setBase(call, base, ({ hv }) => (hv.cpu.regs.gsBase = base))),
    GS_USER_SEL: plain(loadUserGs),
  },
  EINVAL,
);

function setBase(call: Call, base: bigint, set: (call: Call) => void): number {
  if (!isCanonical(base)) return -EINVAL;
  set(call);
  return 0;
}

/** A bad selector becomes null: guests have no way to be told. */
function loadUserGs({ hv, vcpu }: Call, value: bigint): number {
  const raw = Number(value & 0xffffn);
  const selector = raw > 3 ? raw | 3 : raw;
  const found = selector > 3 ? checkDataSegment(hv, vcpu, SEG.gs, selector) : undefined;
  const ok = found === undefined || !isFault(found);
  hv.cpu.regs.selectors[SEG.gs] = ok ? selector : 0;
  vcpu.gsBaseUser = found && !isFault(found) ? BigInt(descriptorBase(found)) : 0n;
  return 0;
}

const ASSISTS = new Set([
  VMASST_TYPE_4gb_segments,
  VMASST_TYPE_4gb_segments_notify,
  VMASST_TYPE_writable_pagetables,
  VMASST_TYPE_pae_extended_cr3,
  VMASST_TYPE_architectural_iopl,
  VMASST_TYPE_runstate_update_flag,
  VMASST_TYPE_m2p_strict,
]);
/** All assists that a 64-bit PV domain may enable, as a mask. */
export const ASSIST_MASK = [...ASSISTS].reduce((mask, type) => mask | (1n << BigInt(type)), 0n);

export const ASSIST_COMMANDS = new Operations<Call, 'VMASST_CMD_'>('VMASST_CMD_', {
  enable: plain(({ domain }, type) => {
    domain.vmAssist |= 1n << type;
    return 0;
  }),
  disable: plain(({ domain }, type) => {
    domain.vmAssist &= ~(1n << type);
    return 0;
  }),
});

export function vmAssist(call: Call): number | bigint {
  const type = u32(call, 1);
  return ASSISTS.has(type) ? ASSIST_COMMANDS.make(u32(call, 0), call, BigInt(type)) : -EINVAL;
}

export const iret = ({ hv, vcpu }: Call): bigint => guestIret(hv, vcpu);
