import * as abi from '@xenolith/xen-abi';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeMessage } from '../wire/message.js';
import { MessageParser } from '../wire/parser.js';
import { fromBytes, toBytes } from '../wire/text.js';
import type { ServerConnection } from './connection.js';
import { XenstoreServer } from './server.js';

// The store against a plain recursive tree with no generations, no flat paths and no transactions. A transaction that
// commits must be as if all of it had run at the moment of its commit; one that does not, as if it had never been.

interface Tree {
  value: string;
  /** As in GET_PERMS; the owner first. */
  permissions: string[];
  children: Map<string, Tree>;
}

interface Action {
  actor: number;
  type: number;
  path: string;
  value: string;
}

const names = (path: string) => path.split('/').filter((name) => name !== '');

function rights(actor: number, permissions: readonly string[]): string {
  const [first, ...others] = permissions as [string, ...string[]];
  if (actor === 0 || first.slice(1) === String(actor)) return 'rwo';
  const entry = others.find((p) => p.slice(1) === String(actor)) ?? first;
  return { n: '', r: 'r', w: 'w', b: 'rw' }[entry[0]!]!;
}

/** Who hears of a change: those who may read the node, its parent, or the node as it was before. */
interface Change {
  path: string;
  /** Only watches of this very node are meant. */
  exact: boolean;
  readers: (readonly string[])[];
}

/** Does an action to the model. @returns the reply's payload, or the error; what it changed is added to `changes` */
function apply(root: Tree, { actor, type, path, value }: Action, changes: Change[] = []): string {
  const steps = names(path);
  let node: Tree | undefined = root;
  let ancestor = root;
  let parent: Tree | undefined;
  for (const name of steps) {
    parent = node;
    if (node) ancestor = node;
    node = node?.children.get(name);
  }
  const needs =
    { [abi.XS_WRITE]: 'w', [abi.XS_MKDIR]: 'w', [abi.XS_RM]: 'w', [abi.XS_SET_PERMS]: 'wo' }[type] ?? 'r';
  const has = (permissions: string[], right: string) => rights(actor, permissions).includes(right);
  if (node && ![...needs].every((right) => has(node!.permissions, right))) return 'EACCES\0';
  if (!node && ![...needs].some((right) => has(ancestor.permissions, right))) return 'EACCES\0';
  switch (type) {
    case abi.XS_READ:
      return node?.value ?? 'ENOENT\0';
    case abi.XS_DIRECTORY:
      return node ? [...node.children.keys()].map((name) => `${name}\0`).join('') : 'ENOENT\0';
    case abi.XS_GET_PERMS:
      return node ? node.permissions.map((p) => `${p}\0`).join('') : 'ENOENT\0';
    case abi.XS_SET_PERMS: {
      if (!node) return 'ENOENT\0';
      const wanted = value.split('\0').slice(0, -1);
      if (actor !== 0 && wanted[0]!.slice(1) !== node.permissions[0]!.slice(1)) return 'EPERM\0';
      changes.push({ path, exact: false, readers: [node.permissions, wanted, (parent ?? root).permissions] });
      node.permissions = wanted;
      return 'OK\0';
    }
    case abi.XS_RM:
      if (!node) return parent ? 'OK\0' : 'ENOENT\0';
      if (!parent) return 'EINVAL\0';
      removal(node, path, parent, false, changes);
      parent.children.delete(steps.at(-1)!);
      return 'OK\0';
    default: {
      if (type === abi.XS_MKDIR && node) return 'OK\0';
      let at = root;
      let above = root;
      for (const name of steps) {
        let child = at.children.get(name);
        if (!child) {
          const permissions = [...at.permissions];
          if (actor !== 0) permissions[0] = permissions[0]![0]! + actor;
          child = { value: '', permissions, children: new Map() };
          at.children.set(name, child);
        }
        above = at;
        at = child;
      }
      changes.push({ path, exact: false, readers: [at.permissions, above.permissions] });
      if (type === abi.XS_WRITE) at.value = value;
      return 'OK\0';
    }
  }
}

/** The changes that a removal is: of each node below, children first. */
function removal(node: Tree, path: string, parent: Tree, exact: boolean, changes: Change[]): void {
  for (const [name, child] of node.children) removal(child, `${path}/${name}`, node, true, changes);
  changes.push({ path, exact, readers: [node.permissions, parent.permissions] });
}

/** What every client watches. */
const WATCHED = ['/', '/a', '/b/c'];

/** The events that a client gets for these changes. */
function eventsOf(actor: number, changes: readonly Change[]): string[] {
  return changes.flatMap(({ path, exact, readers }) =>
    WATCHED.filter((watched) => {
      const below = watched === '/' || `${path}/`.startsWith(`${watched}/`);
      const heard = exact ? path === watched : below;
      return heard && readers.some((permissions) => rights(actor, permissions).includes('r'));
    }).map((watched) => `${path}\0${watched}\0`),
  );
}

class Client {
  /** Watch events since they were last taken. */
  events: string[] = [];
  private replies: string[] = [];
  private readonly connection: ServerConnection;

  constructor(server: XenstoreServer, domid: number) {
    const parser = new MessageParser();
    this.connection = server.connect(domid, (bytes) => {
      for (const { type, body } of parser.feed(bytes)) {
        (type === abi.XS_WATCH_EVENT ? this.events : this.replies).push(fromBytes(body));
      }
    });
  }

  ask(type: number, text: string, transactionId = 0): string {
    this.replies = [];
    this.connection.feed(encodeMessage({ type, requestId: 0, transactionId, body: toBytes(text) }));
    return this.replies[0]!;
  }
}

const path = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }).map((parts) => `/${parts.join('/')}`);
const permission = fc
  .tuple(fc.constantFrom('n', 'r', 'w', 'b'), fc.nat(2))
  .map(([access, domid]) => access + domid);
const actor = fc.nat(2);
const plain = fc.record({
  actor,
  type: fc.constantFrom(abi.XS_READ, abi.XS_DIRECTORY, abi.XS_GET_PERMS, abi.XS_MKDIR, abi.XS_RM),
  path,
  value: fc.constant(''),
});
const write = fc.record({
  actor,
  type: fc.constant(abi.XS_WRITE),
  path,
  value: fc.nat(9).map(String),
});
const setPermissions = fc.record({
  actor,
  type: fc.constant(abi.XS_SET_PERMS),
  path,
  value: fc
    .array(permission, { minLength: 1, maxLength: 3 })
    .map((list) => list.map((p) => `${p}\0`).join('')),
});
const action: fc.Arbitrary<Action> = fc.oneof(plain, write, setPermissions);
/** Which transaction (0: none) does what; an end with T or F. */
const step = fc.record({
  slot: fc.nat(2),
  act: fc.oneof({ weight: 6, arbitrary: action }, { weight: 1, arbitrary: fc.constantFrom('T', 'F') }),
});

function requestText({ type, path: where, value }: Action): string {
  return type === abi.XS_WRITE || type === abi.XS_SET_PERMS ? `${where}\0${value}` : `${where}\0`;
}

/** The whole store as domain 0 reads it. */
function dump(client: Client, where = '/'): Tree {
  const children = client.ask(abi.XS_DIRECTORY, `${where}\0`).split('\0').slice(0, -1);
  return {
    value: client.ask(abi.XS_READ, `${where}\0`),
    permissions: client.ask(abi.XS_GET_PERMS, `${where}\0`).split('\0').slice(0, -1),
    children: new Map(children.map((name) => [name, dump(client, `${where === '/' ? '' : where}/${name}`)])),
  };
}

it('agrees with a plain tree, and committed transactions with running them at once', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }), (steps) => {
      const server = new XenstoreServer();
      const clients = [0, 1, 2].map((domid) => new Client(server, domid));
      const tools = clients[0]!;
      tools.ask(abi.XS_RM, '/tool\0');
      tools.ask(abi.XS_SET_PERMS, '/\0b0\0');
      const model: Tree = { value: '', permissions: ['b0'], children: new Map() };
      for (const client of clients) {
        for (const watched of WATCHED) client.ask(abi.XS_WATCH, `${watched}\0${watched}\0`);
      }

      // Slot 1 belongs to domain 0 and slot 2 to domain 1: what their transactions did, and what they were told.
      const open: { id: number; done: { action: Action; reply: string }[] }[] = [];
      for (const { slot, act } of steps) {
        const owner = clients[slot - 1];
        if (act === 'T' || act === 'F') {
          const transaction = open[slot];
          if (!owner || !transaction) continue;
          delete open[slot];
          const reply = owner.ask(abi.XS_TRANSACTION_END, `${act}\0`, transaction.id);
          if (act === 'F') expect(reply).toBe('OK\0');
          if (act === 'F' || reply === 'EAGAIN\0') continue;
          expect(reply).toBe('OK\0');
          for (const each of transaction.done) expect(apply(model, each.action)).toBe(each.reply);
        } else if (owner) {
          open[slot] ??= { id: Number.parseInt(owner.ask(abi.XS_TRANSACTION_START, '\0'), 10), done: [] };
          const mine = { ...act, actor: slot - 1 };
          const reply = owner.ask(mine.type, requestText(mine), open[slot].id);
          open[slot].done.push({ action: mine, reply });
        } else {
          for (const client of clients) client.events = [];
          const changes: Change[] = [];
          expect(clients[act.actor]!.ask(act.type, requestText(act))).toBe(apply(model, act, changes));
          for (const [domid, { events }] of clients.entries())
            expect(events).toEqual(eventsOf(domid, changes));
        }
      }
      expect(dump(tools)).toEqual(model);
      expect(server.check()).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
