import type { StoredPermission, StoreNode } from '../store/node.js';
import { READ } from '../store/permissions.js';
import { rightsOf } from './actor.js';
import type { ServerConnection } from './connection.js';
import type { RequestInFlight } from './request-in-flight.js';
import type { DirectView } from './view.js';
import { maySeeChange, pathForClient, type Watches } from './watches.js';

/** Tells watches of what happened, each client only what it may know. */
export class Events {
  constructor(
    private readonly watches: Watches,
    private readonly view: DirectView,
    private readonly special: ReadonlyMap<string, readonly StoredPermission[]>,
  ) {}

  /**
   * A node changed, or is about to go.
   * @param node as it is now, if it is at hand @param exact only watches of this very node are meant
   * @param oldPermissions who could see it before, if that may have changed
   * @param request what caused it, if that is to wait until the events are read
   */
  fire(
    path: string,
    node: StoreNode | undefined,
    exact: boolean,
    oldPermissions: readonly StoredPermission[] | undefined,
    request: RequestInFlight | undefined,
  ): void {
    let asked: ServerConnection | undefined;
    let allowed = false;
    for (const watch of this.watches.hits(path, exact)) {
      const { connection } = watch;
      if (connection !== asked) {
        asked = connection;
        allowed = maySeeChange(connection, this.view, path, node, oldPermissions);
      }
      if (allowed) connection.sendEvent(pathForClient(watch, path), watch.token, request);
    }
  }

  fireSpecial(name: '@introduceDomain' | '@releaseDomain'): void {
    for (const { connection, token } of this.watches.hits(name, true)) {
      if (rightsOf(connection, this.special.get(name)!) & READ) connection.sendEvent(name, token);
    }
  }
}
