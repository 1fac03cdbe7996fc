// Xen public headers arch-x86/xen.h and arch-x86/xen-x86_32.h: the types that a 32-bit guest declares otherwise.

import { TrapInfo } from './arch-x86.js';
import { array, bytes, struct, u8, u16, u32, ulong, x86_32 } from './layout/index.js';

/** Register state of a 32-bit guest. */
export const CpuUserRegs32 = struct(
  'struct cpu_user_regs',
  {
    ebx: u32,
    ecx: u32,
    edx: u32,
    esi: u32,
    edi: u32,
    ebp: u32,
    eax: u32,
    error_code: u16,
    entry_vector: u16,
    eip: u32,
    cs: u16,
    saved_upcall_mask: u8,
    _pad0: u8,
    eflags: u32,
    esp: u32,
    ss: u16,
    _pad1: u16,
    es: u16,
    _pad2: u16,
    ds: u16,
    _pad3: u16,
    fs: u16,
    _pad4: u16,
    gs: u16,
    _pad5: u16,
  },
  { only: x86_32 },
);

/** The whole state of a vCPU of a 32-bit guest, for `VCPUOP_initialise`. */
export const VcpuGuestContext32 = struct(
  'struct vcpu_guest_context',
  {
    /** FXSAVE image. */
    fpu_ctxt: bytes(512),
    /** `VGCF_*`. */
    flags: ulong,
    user_regs: CpuUserRegs32,
    trap_ctxt: array(TrapInfo, 256),
    ldt_base: ulong,
    ldt_ents: ulong,
    gdt_frames: array(ulong, 16),
    gdt_ents: ulong,
    kernel_ss: ulong,
    kernel_sp: ulong,
    ctrlreg: array(ulong, 8),
    debugreg: array(ulong, 8),
    event_callback_cs: ulong,
    event_callback_eip: ulong,
    failsafe_callback_cs: ulong,
    failsafe_callback_eip: ulong,
    vm_assist: ulong,
  },
  { only: x86_32 },
);

/** Argument of `CALLBACKOP_register` for a 32-bit guest: a callback is a far pointer. */
export const CallbackRegister32 = struct(
  'struct callback_register',
  {
    type: u16,
    flags: u16,
    address: struct('struct xen_callback', { cs: ulong, eip: ulong }, { only: x86_32 }),
  },
  { only: x86_32 },
);
