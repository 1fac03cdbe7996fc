import { XENSTORE_PAYLOAD_MAX } from '@xenolith/xen-abi';
import { XenstoreError } from '../errors.js';
import type { StoredPermission } from '../store/node.js';
import { formatPermission, OWNER, parsePermission, WRITE } from '../store/permissions.js';
import { atoi } from '../wire/text.js';
import { rightsOf } from './actor.js';
import { type Handler, OK, type Request } from './request.js';

// The handlers of requests about nodes; docs/misc/xenstore.txt, "Database read, write and permissions operations".

export const directory: Handler = (request) => {
  return request.nodes.read(request.absolute(request.only())).children.toString();
};

/** Pieces of a long list: the node's generation, then whole names; an empty one ends the list. */
export const directoryPart: Handler = (request) => {
  const strings = request.strings(2);
  if (strings.length !== 2) throw new XenstoreError('EINVAL');
  const node = request.nodes.read(request.absolute(strings[0]!));
  const list = node.children.toString();
  const offset = atoi(strings[1]!) >>> 0;
  const generation = `${node.generation}\0`;
  if (offset >= list.length) return `${generation}\0`;
  let end = Math.min(list.length, offset + XENSTORE_PAYLOAD_MAX - generation.length - 1);
  if (end < list.length) end = list.lastIndexOf('\0', end - 1) + 1;
  return generation + list.slice(offset, end) + (end === list.length ? '\0' : '');
};

export const read: Handler = (request) => request.nodes.read(request.absolute(request.only())).value;

export const write: Handler = (request) => {
  const path = request.strings(1)[0]!;
  // A copy: the payload's bytes must not change with the message's.
  request.nodes.write(request.absolute(path), request.body.slice(path.length + 1));
  return OK;
};

export const mkdir: Handler = (request) => {
  request.nodes.mkdir(request.absolute(request.only()));
  return OK;
};

export const remove: Handler = (request) => {
  request.nodes.remove(request.absolute(request.only()));
  return OK;
};

export const getPermissions: Handler = (request) => {
  const { permissions } = request.nodes.read(request.absolute(request.only()));
  return permissions.map((permission) => `${formatPermission(permission)}\0`).join('');
};

export const setPermissions: Handler = (request) => {
  const [path, ...entries] = request.strings(2) as [string, ...string[]];
  if (!request.connection.privileged && entries.length > request.core.quotas.permissions) {
    throw new XenstoreError('ENOSPC');
  }
  const permissions: StoredPermission[] = entries.map((entry) => {
    const permission = parsePermission(entry);
    return request.core.domains.find(permission.domid) ? permission : { ...permission, ignored: true };
  });
  if (permissions[0]!.ignored) throw new XenstoreError('ENOENT', 'The owner does not exist.');
  if (path.startsWith('@')) setSpecialPermissions(request, path, permissions);
  else request.nodes.setPermissions(request.absolute(path), permissions);
  return OK;
};

function setSpecialPermissions(request: Request, name: string, permissions: StoredPermission[]): void {
  const current = request.core.special.get(name);
  if (!current) throw new XenstoreError('EINVAL');
  const rights = WRITE | OWNER;
  if ((rightsOf(request.connection, current) & rights) !== rights) throw new XenstoreError('EACCES');
  request.core.special.set(name, permissions);
}
