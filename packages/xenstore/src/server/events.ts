import type { StoredPermission, StoreNode } from '../store/node.js';
import { READ } from '../store/permissions.js';
import { rightsOf } from './actor.js';
import type { ServerConnection } from './connection.js';
import type { DirectView } from './view.js';
import { matches, maySeeChange, pathForClient } from './watches.js';

/** Tells watches of what happened, each client only what it may know. */
export class Events {
  constructor(
    private readonly connections: ReadonlySet<ServerConnection>,
    private readonly view: DirectView,
    private readonly special: ReadonlyMap<string, readonly StoredPermission[]>,
  ) {}

  /**
   * A node changed, or is about to go.
   * @param node as it is now, if it is at hand @param exact only watches of this very node are meant
   * @param oldPermissions who could see it before, if that may have changed
   */
  fire(
    path: string,
    node: StoreNode | undefined,
    exact: boolean,
    oldPermissions: readonly StoredPermission[] | undefined,
  ): void {
    for (const connection of this.connections) {
      const hits = connection.watches.filter((watch) => matches(watch, path, exact));
      if (hits.length === 0 || !maySeeChange(connection, this.view, path, node, oldPermissions)) continue;
      for (const watch of hits) connection.sendEvent(pathForClient(watch, path), watch.token);
    }
  }

  fireSpecial(name: '@introduceDomain' | '@releaseDomain'): void {
    for (const connection of this.connections) {
      if (!(rightsOf(connection, this.special.get(name)!) & READ)) continue;
      for (const watch of connection.watches)
        if (watch.path === name) connection.sendEvent(name, watch.token);
    }
  }
}
