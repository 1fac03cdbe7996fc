import type { Domain } from '../domain/domain.js';
import type { Vcpu } from '../domain/vcpu.js';
import type { CurrentGuestAccess } from '../guest-access.js';
import type { Hypervisor } from '../hypervisor.js';

/** One hypercall being made. */
export interface Call {
  readonly hv: Hypervisor;
  readonly vcpu: Vcpu;
  readonly domain: Domain;
  /** Memory of the caller: its kernel's page tables are loaded. */
  readonly guest: CurrentGuestAccess;
  /** The arguments as the guest passed them: RDI, RSI, RDX, R10, R8, R9. */
  readonly args: readonly bigint[];
  /** Makes another hypercall for the same caller (multicall); −ERESTART as `makeHypercall`. */
  make(number: number, args: readonly bigint[]): number | bigint;
}

/** Result for RAX: a number (−errno on failure), or a bigint where 53 bits do not do. */
export type Handler = (call: Call) => number | bigint;

/** Argument `n` as a C `unsigned int`, `int`, or as a 64-bit value. */
export const u32 = (call: Call, n: number): number => Number(BigInt.asUintN(32, call.args[n]!));
export const s32 = (call: Call, n: number): number => Number(BigInt.asIntN(32, call.args[n]!));
export const u64 = (call: Call, n: number): bigint => call.args[n]!;
