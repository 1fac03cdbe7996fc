import type { StoredPermission, StoreNode } from '../store/node.js';
import { parentOf } from '../store/path.js';
import { READ } from '../store/permissions.js';
import { type Actor, rightsOf } from './actor.js';
import type { ServerConnection } from './connection.js';
import type { NodeView } from './view.js';

export interface Watch {
  readonly connection: ServerConnection;
  /** Grows from each watch of a server to the next. */
  readonly serial: number;
  /** Absolute, or a special one that begins with `@`. */
  readonly path: string;
  readonly token: string;
  /** The directory that the client's relative path referred to. */
  readonly base: string | undefined;
}

/** All watches of a server by path, so that a change costs what it has to tell and not what there is. */
export class Watches {
  private readonly byPath = new Map<string, Set<Watch>>();
  private next = 0;

  has(connection: ServerConnection, path: string, token: string): boolean {
    return connection.watches.has(keyOf(path, token));
  }

  /** Of a connection that has no such watch yet. */
  add(connection: ServerConnection, path: string, token: string, base: string | undefined): Watch {
    const watch: Watch = { connection, serial: this.next++, path, token, base };
    connection.watches.set(keyOf(path, token), watch);
    connection.watchesChanged(path.length + token.length);
    const here = this.byPath.get(path);
    if (here) here.add(watch);
    else this.byPath.set(path, new Set([watch]));
    return watch;
  }

  /** @returns whether there was such a watch */
  remove(connection: ServerConnection, path: string, token: string): boolean {
    const watch = connection.watches.get(keyOf(path, token));
    if (watch) this.drop(watch);
    return watch !== undefined;
  }

  removeAll(connection: ServerConnection): void {
    for (const watch of connection.watches.values()) this.drop(watch);
  }

  /**
   * The watches that a change of `path` concerns: those at it and, unless `exact`, above it. In the order of the
   * connections, and of the watches of each.
   */
  hits(path: string, exact: boolean): Watch[] {
    const found = [...(this.byPath.get(path) ?? [])];
    for (let at = path; !exact && at !== '/'; ) {
      at = parentOf(at);
      for (const watch of this.byPath.get(at) ?? []) found.push(watch);
    }
    return found.sort((a, b) => a.connection.serial - b.connection.serial || a.serial - b.serial);
  }

  private drop(watch: Watch): void {
    const { connection, path, token } = watch;
    connection.watches.delete(keyOf(path, token));
    connection.watchesChanged(-path.length - token.length);
    const here = this.byPath.get(path)!;
    here.delete(watch);
    if (here.size === 0) this.byPath.delete(path);
  }
}

function keyOf(path: string, token: string): string {
  return `${path}\0${token}`;
}

/** A path as the watch's client gave it: relative if the watch is. */
export function pathForClient(watch: Watch, path: string): string {
  return watch.base === undefined ? path : path.slice(watch.base.length).replace(/^\//, '');
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
