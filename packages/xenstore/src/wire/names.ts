import * as abi from '@xenolith/xen-abi';
import { fromBytes } from './text.js';

const names = new Map<number, string>([
  [abi.XS_CONTROL, 'CONTROL'],
  [abi.XS_DIRECTORY, 'DIRECTORY'],
  [abi.XS_READ, 'READ'],
  [abi.XS_GET_PERMS, 'GET_PERMS'],
  [abi.XS_WATCH, 'WATCH'],
  [abi.XS_UNWATCH, 'UNWATCH'],
  [abi.XS_TRANSACTION_START, 'TRANSACTION_START'],
  [abi.XS_TRANSACTION_END, 'TRANSACTION_END'],
  [abi.XS_INTRODUCE, 'INTRODUCE'],
  [abi.XS_RELEASE, 'RELEASE'],
  [abi.XS_GET_DOMAIN_PATH, 'GET_DOMAIN_PATH'],
  [abi.XS_WRITE, 'WRITE'],
  [abi.XS_MKDIR, 'MKDIR'],
  [abi.XS_RM, 'RM'],
  [abi.XS_SET_PERMS, 'SET_PERMS'],
  [abi.XS_WATCH_EVENT, 'WATCH_EVENT'],
  [abi.XS_ERROR, 'ERROR'],
  [abi.XS_IS_DOMAIN_INTRODUCED, 'IS_DOMAIN_INTRODUCED'],
  [abi.XS_RESUME, 'RESUME'],
  [abi.XS_SET_TARGET, 'SET_TARGET'],
  [abi.XS_RESET_WATCHES, 'RESET_WATCHES'],
  [abi.XS_DIRECTORY_PART, 'DIRECTORY_PART'],
]);

/** The name of a message type without its `XS_`, for traces. */
export function messageName(type: number): string {
  return names.get(type) ?? `type ${type}`;
}

/** A payload as one readable line: NULs become blanks, other unprintable bytes `\xNN`. */
export function printableBody(body: Uint8Array): string {
  const text = fromBytes(body).replace(/\0$/, '');
  return text.replace(/[^\x20-\x7e]/g, (c) =>
    c === '\0' ? ' ' : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
