import { XenstoreError } from '../errors.js';
import { Children } from '../store/children.js';
import {
  type NodeContent,
  ownerOf,
  type StoredPermission,
  type StoreNode,
  storedSize,
} from '../store/node.js';
import { childPath, isValidPath, nameOf, parentOf } from '../store/path.js';
import { OWNER, READ, WRITE } from '../store/permissions.js';
import { type Actor, rightsOf } from './actor.js';
import type { Domains } from './domains.js';
import type { Quotas } from './quotas.js';
import type { NodeView } from './view.js';

/**
 * Tells of a changed node. @param exact only watches of the node itself are meant, not those above it
 * @param oldPermissions who could see it before, if that changed
 */
export type Changed = (
  path: string,
  node: StoreNode | undefined,
  exact: boolean,
  oldPermissions?: readonly StoredPermission[],
) => void;

const nothing = new Uint8Array(0);

/**
 * What one actor does to nodes: permissions, quotas and errors as in xenstored 4.17. Paths are absolute. Methods throw
 * XenstoreError, and have changed nothing then.
 */
export class NodeOperations {
  constructor(
    private readonly view: NodeView,
    private readonly actor: Actor,
    private readonly domains: Domains,
    private readonly quotas: Quotas,
    private readonly changed: Changed,
    /** A node was written or deleted. */
    private readonly written: () => void = () => {},
  ) {}

  /** A node that the actor may read. */
  read(path: string): StoreNode {
    return this.get(path, READ);
  }

  write(path: string, value: Uint8Array): void {
    const node = this.getIfExists(path, WRITE);
    if (node) this.put(path, { ...node, value });
    else this.create(path, value);
    this.changed(path, this.view.read(path), false);
  }

  mkdir(path: string): void {
    if (this.getIfExists(path, WRITE)) return;
    this.create(path, nothing);
    this.changed(path, this.view.read(path), false);
  }

  remove(path: string): void {
    if (!this.getIfExists(path, WRITE)) {
      if (!this.view.read(parentOf(path))) throw new XenstoreError('ENOENT');
      return;
    }
    if (path === '/') throw new XenstoreError('EINVAL');
    this.removeTree(path);
  }

  /** Removes a node that exists, and all below it, whatever its permissions. */
  removeTree(path: string): void {
    const parentPath = parentOf(path);
    const parent = this.view.read(parentPath);
    if (!parent) throw new XenstoreError('EINVAL');
    const doomed: [string, StoreNode][] = [];
    this.collect(path, doomed);
    // Events first, while it can still be seen who may have them.
    for (const [each, node] of doomed) this.changed(each, node, each !== path);
    for (const [each, node] of doomed) {
      this.view.delete(each);
      this.written();
      this.view.count(ownerOf(node), -1);
    }
    const children = parent.children.without(nameOf(path));
    // A transaction has seen the parent before the node was made by others; its commit will be refused.
    if (children === parent.children) throw new XenstoreError('EIO');
    this.store(parentPath, { ...parent, children });
  }

  setPermissions(path: string, permissions: readonly StoredPermission[]): void {
    const node = this.get(path, WRITE | OWNER);
    const owner = permissions[0]!.domid;
    const oldOwner = ownerOf(node);
    if (!this.actor.privileged && owner !== oldOwner) throw new XenstoreError('EPERM');
    this.put(path, { ...node, permissions });
    this.view.count(oldOwner, -1);
    this.view.count(owner, 1);
    this.changed(path, this.view.read(path), false, node.permissions);
  }

  /**
   * A node on which the actor has all of these rights. Without them, or without the node, the error tells only those
   * who have one of the rights on its closest existing ancestor whether it exists; others get EACCES.
   */
  private get(path: string, rights: number): StoreNode {
    const node = this.getIfExists(path, rights);
    if (!node) throw new XenstoreError('ENOENT', path);
    return node;
  }

  /** The same; undefined where `get` says ENOENT. Nodes are looked for far more often than they are missed. */
  private getIfExists(path: string, rights: number): StoreNode | undefined {
    if (!isValidPath(path, this.quotas['path-max']))
      throw new XenstoreError('EINVAL', `${path} is no valid path.`);
    const node = this.view.read(path);
    if (node && (rightsOf(this.actor, node.permissions) & rights) === rights) return node;
    const ancestor = this.closestAncestor(path).node;
    const mayKnow = (rightsOf(this.actor, ancestor.permissions) & rights) !== 0;
    if (mayKnow && !node) return undefined;
    throw new XenstoreError('EACCES', path);
  }

  private closestAncestor(path: string): { path: string; node: StoreNode } {
    let ancestor = path;
    do {
      ancestor = parentOf(ancestor);
      const node = this.view.read(ancestor);
      if (node) return { path: ancestor, node };
    } while (ancestor !== '/');
    throw new Error('The store has no root.');
  }

  /** Creates a node and the missing ones above it. They inherit permissions; what a guest creates is its own. */
  private create(path: string, value: Uint8Array): void {
    const { path: ancestorPath, node: ancestor } = this.closestAncestor(path);
    const [first, ...others] = ancestor.permissions as [StoredPermission, ...StoredPermission[]];
    const permissions = this.actor.privileged
      ? ancestor.permissions
      : [{ ...first, domid: this.actor.domid }, ...others];
    const fresh: [string, NodeContent][] = [];
    let child: string | undefined;
    for (let each = path; each !== ancestorPath; each = parentOf(each)) {
      const content = {
        value: child ? nothing : value,
        children: child ? Children.none.with(child) : Children.none,
        permissions,
      };
      fresh.push([each, content]);
      child = nameOf(each);
    }
    const adopter = { ...ancestor, children: ancestor.children.with(child!) };

    this.checkNodeCount(fresh.length);
    this.checkSpace([...fresh, [ancestorPath, adopter]]);
    for (const [each, content] of fresh) {
      this.store(each, content);
      this.view.count(permissions[0]!.domid, 1);
    }
    this.store(ancestorPath, adopter);
  }

  private put(path: string, content: NodeContent): void {
    this.checkSpace([[path, content]]);
    this.store(path, content);
  }

  private store(path: string, content: NodeContent): void {
    this.view.write(path, content);
    this.written();
  }

  /** What is to be written must fit into the limits of a node and of the memory of its owner. */
  private checkSpace(nodes: readonly (readonly [string, NodeContent])[]): void {
    const charges = new Map<number, number>();
    for (const [path, content] of nodes) {
      if (!this.actor.privileged && storedSize(content) >= this.quotas['node-size']) {
        this.refuse('ENOSPC', 'The node is too large.');
      }
      const { domid, bytes } = this.view.charge(path, content);
      charges.set(domid, (charges.get(domid) ?? 0) + bytes);
    }
    for (const [domid, bytes] of charges) {
      if (!this.domains.fits(domid, bytes)) this.refuse('EIO', `Domain ${domid} has too much in the store.`);
    }
  }

  private refuse(code: 'ENOSPC' | 'EIO', message: string): never {
    this.view.fail();
    throw new XenstoreError(code, message);
  }

  private checkNodeCount(added: number): void {
    if (this.actor.privileged) return;
    const owned = this.domains.get(this.actor.domid)?.nodes ?? 0;
    if (!this.view.roomForNodes(owned, added))
      throw new XenstoreError('ENOSPC', 'The domain owns too many nodes.');
  }

  /** The node and all below it, children before their parents. */
  private collect(path: string, into: [string, StoreNode][]): void {
    const node = this.view.read(path);
    // A transaction has seen the parent's list before others removed this; its commit will be refused.
    if (!node) throw new XenstoreError('EIO');
    for (const name of node.children) this.collect(childPath(path, name), into);
    into.push([path, node]);
  }
}
