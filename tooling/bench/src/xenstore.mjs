import { spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { XenstoreClient } from '@xenolith/xenstore';
import { connectSocket } from '@xenolith/xenstore/node';
import { realXenstored } from '@xenolith-tooling/xenstored';
import { median, ratio, table } from './statistics.mjs';

const program = fileURLToPath(new URL('../../../apps/xenstore-server/dist/main.js', import.meta.url));

/** Requests that a client has under way where they need not wait for one another. */
const DEPTH = 64;

/**
 * Runs `count` requests, `depth` at a time. @returns how many there were in a second
 * @param {number} count @param {number} depth @param {(i: number) => Promise<unknown>} request
 */
async function rate(count, depth, request) {
  const start = performance.now();
  let next = 0;
  const worker = async () => {
    while (next < count) await request(next++);
  };
  await Promise.all(Array.from({ length: depth }, worker));
  return count / ((performance.now() - start) / 1000);
}

/**
 * The same load for any server. @param {string} socket @param {{ nodes: number, watches: number, requests: number }} size
 * @returns {Promise<Map<string, number>>} requests per second
 */
async function measure(socket, { nodes, watches, requests }) {
  // Each is answered before the next comes: xenstored lets only one wait.
  const connect = async () => {
    const client = new XenstoreClient(await connectSocket(socket));
    await client.list('/');
    return client;
  };
  const client = await connect();
  /** @type {Map<string, number>} */
  const rates = new Map();
  const path = (/** @type {number} */ i) => `/bench/${i % 1000}/${Math.floor(i / 1000)}`;
  const requestsOn = async (/** @type {string} */ store) => {
    rates.set(`read, ${store}`, await rate(requests, 1, (i) => client.read(path(i % 1000))));
    rates.set(
      `read, ${DEPTH} at a time, ${store}`,
      await rate(requests * 4, DEPTH, (i) => client.read(path(i % 1000))),
    );
    rates.set(
      `write, ${DEPTH} at a time, ${store}`,
      await rate(requests * 2, DEPTH, (i) => client.write(path(i % 1000), `${i}`)),
    );
    const add = (/** @type {string} */ where) =>
      client.transaction(async (transaction) => {
        await transaction.write(where, `${Number(await transaction.read(where)) + 1}`);
      });
    rates.set(`transaction, ${store}`, await rate(requests / 4, 1, (i) => add(path(i % 1000))));
  };

  await rate(1000, DEPTH, (i) => client.write(path(i), '0'));
  await requestsOn('1,000 nodes');
  rates.set(`making ${nodes} nodes`, await rate(nodes, DEPTH, (i) => client.write(path(i), '0')));
  /** @type {XenstoreClient[]} */
  const watchers = [];
  while (watchers.length < 10) watchers.push(await connect());
  /** @type {ReturnType<XenstoreClient['watch']>[]} */
  const set = [];
  rates.set(
    `setting ${watches} watches`,
    await rate(watches, DEPTH, async (i) => {
      const watch = /** @type {XenstoreClient} */ (watchers[i % 10]).watch(path(i));
      set[i] = watch;
      await watch.next();
    }),
  );
  await requestsOn('all of these');
  rates.set(
    'write to the event of it',
    await rate(requests / 4, 1, async (i) => {
      const [, changed] = await Promise.all([
        client.write(path(i % 1000), 'x'),
        /** @type {ReturnType<XenstoreClient['watch']>} */ (set[i % 1000]).next(),
      ]);
      if (changed.value !== path(i % 1000))
        throw new Error(`${changed.value} has changed, not ${path(i % 1000)}`);
    }),
  );
  const start = performance.now();
  await client.rm('/bench');
  rates.set('removing them, nodes', nodes / ((performance.now() - start) / 1000));
  for (const each of [client, ...watchers]) each.close();
  return rates;
}

/** @param {string} socket @returns {Promise<() => void>} what stops the server */
async function startOurs(socket) {
  const child = spawn(process.execPath, [program, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return () => void child.kill();
}

/**
 * Our server and Debian's xenstored on their sockets, with one client program.
 * @param {string} directory @param {number} rounds @param {boolean} quick
 */
export async function measureXenstore(directory, rounds, quick) {
  if (!existsSync(program)) return 'xenstore: apps/xenstore-server is not built: npm run build';
  const size = quick
    ? { nodes: 10_000, watches: 1000, requests: 1000 }
    : { nodes: 100_000, watches: 10_000, requests: 10_000 };
  const { start, reason } = realXenstored();
  /** @type {Map<string, number[]>[]} */
  const results = [new Map(), new Map()];
  for (let round = 0; round < rounds; round++) {
    const socket = join(directory, `xenstore-${round}`);
    const stop = await startOurs(socket);
    const ours = await measure(socket, size);
    stop();
    rmSync(socket, { force: true });
    const daemon = start?.();
    const theirs = daemon ? await measure(daemon.socket, size) : new Map();
    daemon?.stop();
    for (const [i, rates] of [ours, theirs].entries()) {
      for (const [name, value] of rates) results[i]?.set(name, [...(results[i]?.get(name) ?? []), value]);
    }
  }
  const rows = [...(results[0] ?? [])].map(([name, values]) => {
    const ours = median(values);
    const theirs = results[1]?.get(name);
    return [name, ours.toFixed(0), theirs ? ratio(ours / median(theirs)) : '-'];
  });
  const shown = table([['xenstore on a socket', 'requests/s', 'of xenstored'], ...rows]);
  return reason ? `${shown}\nDebian's xenstored is left out: ${reason}` : shown;
}
