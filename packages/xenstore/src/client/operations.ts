import * as abi from '@xenolith/xen-abi';
import { XenstoreProtocolError } from '../errors.js';
import { formatPermission, type Permission, parsePermission } from '../store/permissions.js';
import { fromBytes, nulTerminated, toBytes } from '../wire/text.js';

/** A request and what its reply means. */
export interface Operation<T> {
  type: number;
  body: Uint8Array;
  decode(reply: Uint8Array): T;
}

/** A value as an application gives it: text goes as UTF-8. */
export type Value = string | Uint8Array;

const utf8 = new TextEncoder();
const nothing = (): void => {};
const strings = (reply: Uint8Array) => nulTerminated(fromBytes(reply));

function operation<T>(type: number, args: readonly string[], decode: (reply: Uint8Array) => T): Operation<T> {
  for (const arg of args) {
    if (arg.includes('\0')) throw new RangeError('A path or token cannot hold a NUL.');
  }
  return { type, body: toBytes(args.map((arg) => `${arg}\0`).join('')), decode };
}

// One function per request of docs/misc/xenstore.txt that a guest or a tool needs.

export const read = (path: string) => operation(abi.XS_READ, [path], (reply) => reply);

export const list = (path: string) => operation(abi.XS_DIRECTORY, [path], strings);

export const listPart = (path: string, offset: number) =>
  operation(abi.XS_DIRECTORY_PART, [path, String(offset)], (reply) => {
    const text = fromBytes(reply);
    const end = text.indexOf('\0');
    return { generation: text.slice(0, end), part: text.slice(end + 1) };
  });

export function write(path: string, value: Value): Operation<void> {
  const bytes = typeof value === 'string' ? utf8.encode(value) : value;
  const { type, body: head } = operation(abi.XS_WRITE, [path], nothing);
  const body = new Uint8Array(head.length + bytes.length);
  body.set(head);
  body.set(bytes, head.length);
  return { type, body, decode: nothing };
}

export const mkdir = (path: string) => operation(abi.XS_MKDIR, [path], nothing);

export const rm = (path: string) => operation(abi.XS_RM, [path], nothing);

export const getPermissions = (path: string) =>
  operation(abi.XS_GET_PERMS, [path], (reply) => strings(reply).map(parsePermission));

export const setPermissions = (path: string, permissions: readonly Permission[]) =>
  operation(abi.XS_SET_PERMS, [path, ...permissions.map(formatPermission)], nothing);

export const watch = (path: string, token: string) => operation(abi.XS_WATCH, [path, token], nothing);

export const unwatch = (path: string, token: string) => operation(abi.XS_UNWATCH, [path, token], nothing);

export const resetWatches = () => operation(abi.XS_RESET_WATCHES, [''], nothing);

export const startTransaction = () =>
  operation(abi.XS_TRANSACTION_START, [''], (reply) => {
    const id = Number(strings(reply)[0]);
    if (!(id > 0)) throw new XenstoreProtocolError('The server gave no transaction id.');
    return id;
  });

export const endTransaction = (commit: boolean) =>
  operation(abi.XS_TRANSACTION_END, [commit ? 'T' : 'F'], nothing);

export const introduce = (domid: number, gfn: number, port: number) =>
  operation(abi.XS_INTRODUCE, [domid, gfn, port].map(String), nothing);

export const release = (domid: number) => operation(abi.XS_RELEASE, [String(domid)], nothing);

export const getDomainPath = (domid: number) =>
  operation(abi.XS_GET_DOMAIN_PATH, [String(domid)], (reply) => strings(reply)[0] ?? '');

export const isDomainIntroduced = (domid: number) =>
  operation(abi.XS_IS_DOMAIN_INTRODUCED, [String(domid)], (reply) => strings(reply)[0] === 'T');

export const setTarget = (domid: number, target: number) =>
  operation(abi.XS_SET_TARGET, [domid, target].map(String), nothing);

export const control = (command: string, args: readonly string[]) =>
  operation(abi.XS_CONTROL, [command, ...args], (reply) => strings(reply)[0] ?? '');
