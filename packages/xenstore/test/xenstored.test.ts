import * as abi from '@xenolith/xen-abi';
import { messageName } from '@xenolith/xenstore';
import { realXenstored } from '@xenolith-tooling/xenstored';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ComparedServer, ourServer, type Request, realServer } from './compared-servers.js';

// The same random requests to our server and to Debian's xenstored: every reply and every event must be the same.

const { start, reason } = realXenstored();

const GUESTS = [1, 2];

type Step =
  | { kind: 'request'; client: number; type: number; body: string; slot: number }
  | { kind: 'life'; domid: number; act: 'shutdown' | 'destroy' | 'release' | 'reintroduce' };

const name = fc.constantFrom('a', 'b', 'c');
const path = fc.oneof(
  { weight: 12, arbitrary: fc.array(name, { maxLength: 3 }).map((parts) => `/${parts.join('/')}`) },
  { weight: 3, arbitrary: fc.array(name, { minLength: 1, maxLength: 2 }).map((parts) => parts.join('/')) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '',
      '/a/',
      '//a',
      '/a b',
      '/a-_@0',
      '/local/domain/1',
      '/local/domain/1/a',
      '/local/domain/-1/a',
      '/tool',
      '@releaseDomain',
      '@introduceDomain',
      '@other',
    ),
  },
);
const permission = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .tuple(fc.constantFrom('n', 'r', 'w', 'b'), fc.nat(3))
      .map(([access, domid]) => access + domid),
  },
  { weight: 1, arbitrary: fc.constantFrom('x1', 'r', '', 'r1x', 'r0x1', 'b01', 'n-1', 'r 1') },
);
const strings = (...parts: string[]) => parts.map((part) => `${part}\0`).join('');
const number = fc.oneof(fc.nat(4).map(String), fc.constantFrom('', 'x', '-1', '32752', '99999'));
const token = fc.constantFrom('t', 'u', '');
const value = fc.oneof(fc.constantFrom('', 'v', 'longer value'), fc.constant('x'.repeat(90)));

/** Not to be tried with odd payloads: those that the real one answers with an errno that something else left. */
const unfit: number[] = [
  abi.XS_READ,
  abi.XS_DIRECTORY,
  abi.XS_GET_PERMS,
  abi.XS_MKDIR,
  abi.XS_RM,
  abi.XS_INTRODUCE,
  abi.XS_RELEASE,
  abi.XS_CONTROL,
];

const one = (types: number[], argument: fc.Arbitrary<string>) =>
  fc.tuple(fc.constantFrom(...types), argument).map(([type, text]) => [type, strings(text)] as const);
const request = fc.oneof(
  { weight: 8, arbitrary: one([abi.XS_READ, abi.XS_DIRECTORY, abi.XS_GET_PERMS, abi.XS_MKDIR], path) },
  { weight: 5, arbitrary: fc.tuple(path, value).map(([p, v]) => [abi.XS_WRITE, `${p}\0${v}`] as const) },
  { weight: 2, arbitrary: one([abi.XS_RM], path) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(path, fc.array(permission, { minLength: 1, maxLength: 4 }))
      .map(([p, list]) => [abi.XS_SET_PERMS, strings(p, ...list)] as const),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(abi.XS_WATCH, abi.XS_UNWATCH), path, token)
      .map(([type, p, t]) => [type, strings(p, t)] as const),
  },
  { weight: 2, arbitrary: fc.constant([abi.XS_TRANSACTION_START, '\0'] as const) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom('T', 'F', 'T', 'X')
      .map((end) => [abi.XS_TRANSACTION_END, strings(end)] as const),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(path, number).map(([p, n]) => [abi.XS_DIRECTORY_PART, strings(p, n)] as const),
  },
  { weight: 1, arbitrary: one([abi.XS_GET_DOMAIN_PATH, abi.XS_RESUME], number) },
  {
    weight: 1,
    arbitrary: one([abi.XS_IS_DOMAIN_INTRODUCED], fc.constantFrom('0', '1', '2', '3', '32752', 'x')),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('1', '2', '3'), fc.constantFrom('1', '2', '3', ''))
      .map(([a, b]) => [abi.XS_SET_TARGET, strings(a, b)] as const),
  },
  { weight: 1, arbitrary: fc.constant([abi.XS_RESET_WATCHES, '\0'] as const) },
  // Payloads that do not fit their type.
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.nat(23), fc.constantFrom('', 'x', '/a', '\0', '/a\0\0', '/a\0b\0c\0'))
      .filter(([type]) => !unfit.includes(type)),
  },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 40,
    arbitrary: fc
      .tuple(fc.nat(2), request, fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(3)))
      .map(([client, [type, body], slot]) => ({ kind: 'request' as const, client, type, body, slot })),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('life' as const),
      domid: fc.constantFrom(...GUESTS),
      act: fc.constantFrom('shutdown', 'destroy', 'release', 'reintroduce'),
    }),
  },
);

const fromDomain0 = (type: number, ...args: string[]): Request => ({
  client: 0,
  type,
  body: strings(...args),
  transaction: 0,
});

/** Runs the steps on one server. @returns what each of them caused */
function run(
  server: ComparedServer,
  steps: readonly Step[],
  quotas: Record<string, number>,
  seen: string[][],
): string[][] {
  let targets = false;
  const introduce = (domid: number) => {
    // In the real one, a domain may inherit permissions from its number's last owner if the node with them was the very
    // last that was written; a transaction that does nothing counts as a write in between.
    const started = server.ask(fromDomain0(abi.XS_TRANSACTION_START, ''));
    const transaction = Number(/TRANSACTION_START \S+ "(\d+)/.exec(started.join())![1]);
    const ended = server.ask({ ...fromDomain0(abi.XS_TRANSACTION_END, 'F'), transaction });
    return [...started, ...ended, ...server.ask(fromDomain0(abi.XS_INTRODUCE, String(domid), '0', '5'))];
  };
  for (const domid of GUESTS) {
    server.createDomain(domid);
    seen.push(introduce(domid));
  }
  seen.push(server.ask(fromDomain0(abi.XS_SET_PERMS, '/', 'b0')));
  for (const [quota, limit] of Object.entries(quotas)) {
    seen.push(server.ask(fromDomain0(abi.XS_CONTROL, 'quota', 'set', quota, String(limit))));
  }
  // The transactions that each client has been given and has not ended.
  const open = new Map<number, number[]>();
  for (const each of steps) {
    if (each.kind === 'life') {
      const { domid, act } = each;
      // The end of a domain that is another's target, or has one, ends the real one as well.
      if (targets && (act === 'destroy' || act === 'release')) continue;
      seen.push([`> ${act} ${domid}`]);
      open.delete(domid);
      if (act === 'shutdown') server.shutDownDomain(domid);
      if (act === 'destroy') {
        server.destroyDomain(domid);
        server.createDomain(domid);
        seen.push(introduce(domid));
      }
      if (act === 'release') {
        // The domain may go before this is answered, or after it.
        seen.push(server.ask(fromDomain0(abi.XS_RELEASE, String(domid))).sort());
        seen.push(introduce(domid));
      }
      if (act === 'reintroduce') seen.push(introduce(domid));
      continue;
    }
    const { client, type, body, slot } = each;
    targets ||= type === abi.XS_SET_TARGET;
    // A root that goes with its owner is the end of the real one.
    if (type === abi.XS_SET_PERMS && /^\/\0.[^0]/.test(body)) continue;
    // Where it refuses this, the real one answers with whatever errno was there before.
    if (type === abi.XS_SET_PERMS && body.startsWith('@') && (client !== 0 || body.startsWith('@other')))
      continue;
    const mine = open.get(client) ?? [];
    const transaction = slot === 0 ? 0 : (mine[slot - 1] ?? (slot === 3 ? 77 : 0));
    seen.push([`> ${client} ${messageName(type)} ${JSON.stringify(body)} in ${transaction}`]);
    const lines = server.ask({ client, type, body, transaction });
    seen.push(lines);
    const reply = lines.find((line) => line.startsWith(`${client} `) && !line.includes(' WATCH_EVENT '))!;
    const started = /TRANSACTION_START \S+ "(\d+)/.exec(reply);
    if (started) open.set(client, [...mine, Number(started[1])]);
    if (/ TRANSACTION_END |ERROR .*(EAGAIN|ENOMEM)/.test(reply))
      open.set(
        client,
        mine.filter((id) => id !== transaction),
      );
    if (type === abi.XS_RESET_WATCHES) open.delete(client);
  }
  return seen;
}

/** The whole store as domain 0 reads it. */
function dump(server: ComparedServer, where = '/'): string[] {
  const all = [abi.XS_READ, abi.XS_GET_PERMS, abi.XS_DIRECTORY].flatMap((type) =>
    server.ask(fromDomain0(type, where)),
  );
  // None where the path itself is too long by now.
  const listing = all.find((line) => line.includes(' DIRECTORY ')) ?? '""';
  const names = (JSON.parse(listing.slice(listing.indexOf('"'))) as string).split('\0').slice(0, -1);
  return [where, ...all, ...names.flatMap((child) => dump(server, `${where === '/' ? '' : where}/${child}`))];
}

function compare(steps: readonly Step[], quotas: Record<string, number>): void {
  const real = realServer(start!());
  try {
    const ours = ourServer();
    const theirs: string[][] = [];
    try {
      run(real, steps, quotas, theirs);
    } catch (error) {
      throw new Error(`After ${JSON.stringify(theirs.slice(-3), null, 1)}`, { cause: error });
    }
    const mine = run(ours, steps, quotas, []);
    expect(mine).toEqual(theirs);
    expect(dump(ours)).toEqual(dump(real));
    // What the domains are counted to have: nodes, watches, transactions, outstanding requests, memory. A transaction's
    // memory depends on how many digits its generation has, so the others' is compared.
    const counted = (server: ComparedServer) =>
      GUESTS.map((domid) => server.ask(fromDomain0(abi.XS_CONTROL, 'quota', String(domid))).join('')).map(
        (text) => (/transactions +: +0/.test(text) ? text : text.replace(/memory.*/, '')),
      );
    expect(counted(ours)).toEqual(counted(real));
  } finally {
    real.stop();
  }
}

const LIMIT = Number(process.env.XENSTORED_LIMIT ?? 60_000);
const RUNS = Number(process.env.XENSTORED_RUNS ?? 12);

describe.skipIf(reason !== undefined)(`Debian's xenstored and ours (${reason ?? 'found'})`, () => {
  const steps = fc.array(step, { minLength: 60, maxLength: 200, size: 'max' });

  it('answer alike', { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(steps, (each) => compare(each, {})),
      { numRuns: RUNS, endOnFailure: true, interruptAfterTimeLimit: LIMIT, markInterruptAsFailure: false },
    );
  });

  it('answer alike where quotas are tight', { timeout: 600_000 }, () => {
    const tight = {
      nodes: 6,
      watches: 2,
      transactions: 1,
      'transaction-nodes': 8,
      'node-size': 100,
      'path-max': 6,
      permissions: 2,
    };
    fc.assert(
      fc.property(steps, (each) => compare(each, tight)),
      { numRuns: RUNS, endOnFailure: true, interruptAfterTimeLimit: LIMIT, markInterruptAsFailure: false },
    );
  });
});
