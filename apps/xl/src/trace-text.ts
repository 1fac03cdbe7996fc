import type { TraceEvent } from '@xenolith/host-interface';
import {
  E2BIG,
  EACCES,
  EAGAIN,
  EBADF,
  EBUSY,
  EEXIST,
  EFAULT,
  EINVAL,
  EIO,
  EISCONN,
  ENODATA,
  ENODEV,
  ENOENT,
  ENOMEM,
  ENOSPC,
  ENOSYS,
  EOPNOTSUPP,
  EOVERFLOW,
  EPERM,
  ERANGE,
  ERESTART,
  ESRCH,
} from '@xenolith/xen-abi';

const ERRNOS = {
  E2BIG,
  EACCES,
  EAGAIN,
  EBADF,
  EBUSY,
  EEXIST,
  EFAULT,
  EINVAL,
  EIO,
  EISCONN,
  ENODATA,
  ENODEV,
  ENOENT,
  ENOMEM,
  ENOSPC,
  ENOSYS,
  EOPNOTSUPP,
  EOVERFLOW,
  EPERM,
  ERANGE,
  ERESTART,
  ESRCH,
};
const errnoNames = new Map(Object.entries(ERRNOS).map(([name, value]) => [value, name]));

/** A hypercall's result: a name for an errno, hexadecimal above 9. */
export function resultText(result: bigint | number | string): string {
  if (typeof result === 'string') return result;
  const value = typeof result === 'bigint' ? Number(BigInt.asIntN(64, result)) : result;
  if (value < 0) return errnoNames.has(-value) ? `-${errnoNames.get(-value)}` : String(value);
  return value < 10 ? String(value) : `0x${BigInt(result).toString(16)}`;
}

function argumentText(value: string | number | bigint): string {
  if (typeof value === 'bigint') return value < 10n ? String(value) : `0x${value.toString(16)}`;
  return String(value);
}

/** Seconds with nanoseconds, as Linux has them: `    1.000000042`. */
export function timeText(ns: number): string {
  const whole = Math.floor(ns);
  return `${Math.floor(whole / 1e9)}.${String(whole % 1e9).padStart(9, '0')}`.padStart(14);
}

/** One line of a trace: time in the guest, domain and vCPU, class, what happened. */
export function traceLine(event: TraceEvent, ns: number): string {
  const { class: cls, domid, vcpu, name, args = {}, result } = event;
  const list = Object.entries(args).map(([key, value]) => `${key}=${argumentText(value)}`);
  const head = `[${timeText(ns)}] d${domid}v${vcpu} ${cls.padEnd(9)} `;
  // Messages of xenstore have no arguments but a payload that is for reading.
  const what = cls === 'xenstore' ? `${name} ${args.body ?? ''}`.trimEnd() : `${name}(${list.join(', ')})`;
  return `${head}${what}${result === undefined ? '' : ` = ${resultText(result)}`}`;
}
