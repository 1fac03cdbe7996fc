import type { StoredPermission, StoreNode } from '../store/node.js';
import { isWithin, parentOf } from '../store/path.js';
import { READ } from '../store/permissions.js';
import { type Actor, rightsOf } from './actor.js';
import type { NodeView } from './view.js';

export interface Watch {
  /** Absolute, or a special one that begins with `@`. */
  readonly path: string;
  readonly token: string;
  /** The directory that the client's relative path referred to. */
  readonly base: string | undefined;
}

/** A path as the watch's client gave it: relative if the watch is. */
export function pathForClient(watch: Watch, path: string): string {
  return watch.base === undefined ? path : path.slice(watch.base.length).replace(/^\//, '');
}

export function matches(watch: Watch, path: string, exact: boolean): boolean {
  return exact ? watch.path === path : isWithin(path, watch.path);
}

/** Whether an actor may learn of a change of a node: it can read the node, or could before, or its parent. */
export function maySeeChange(
  actor: Actor,
  view: NodeView,
  path: string,
  node: StoreNode | undefined,
  oldPermissions: readonly StoredPermission[] | undefined,
): boolean {
  const readable = (permissions: readonly StoredPermission[]) => (rightsOf(actor, permissions) & READ) !== 0;
  if (oldPermissions && readable(oldPermissions)) return true;
  const current = node ?? view.read(path);
  if (!current) return false;
  if (readable(current.permissions)) return true;
  const parent = view.read(parentOf(path));
  return parent !== undefined && readable(parent.permissions);
}
