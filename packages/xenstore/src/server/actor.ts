import type { StoredPermission } from '../store/node.js';
import { accessBits, OWNER, READ, WRITE } from '../store/permissions.js';

/** In whose name something happens. */
export interface Actor {
  readonly domid: number;
  /** Tools and domain 0 may do everything and have no quotas. */
  readonly privileged: boolean;
  /** A domain whose rights this one has, too (SET_TARGET). */
  readonly target?: number | undefined;
}

/** The server itself. */
export const serverActor: Actor = { domid: 0, privileged: true };

/** What the actor may do with a node of these permissions: bits READ, WRITE, OWNER. */
export function rightsOf(actor: Actor, permissions: readonly StoredPermission[]): number {
  const is = (domid: number) => domid === actor.domid || domid === actor.target;
  const [first, ...others] = permissions as [StoredPermission, ...StoredPermission[]];
  if (actor.privileged || is(first.domid)) return READ | WRITE | OWNER;
  const entry = others.find((p) => !p.ignored && is(p.domid)) ?? first;
  return accessBits(entry.access);
}
