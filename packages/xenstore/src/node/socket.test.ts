import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { XS_READ, XS_WATCH } from '@xenolith/xen-abi';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalXenstore, XenstoreClient, XenstoreProtocolError, XenstoreServer } from '../index.js';
import { encodeMessage } from '../wire/message.js';
import { toBytes } from '../wire/text.js';
import {
  connectSocket,
  defaultSocketPath,
  type SocketServer,
  type SocketServerOptions,
  serveSocket,
} from './index.js';

let directory: string;
let path: string;
const open: SocketServer[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenstore-'));
  path = join(directory, 'socket');
});

afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
  rmSync(directory, { recursive: true });
});

async function serve(store = new XenstoreServer(), options?: SocketServerOptions): Promise<SocketServer> {
  const server = await serveSocket(store, path, options);
  open.push(server);
  return server;
}

/** What a crashed server leaves: a socket that nobody listens on. */
async function leaveSocket(): Promise<void> {
  const old = createServer().listen(path);
  await new Promise((resolve) => old.once('listening', resolve));
  // Closing removes the name it was made with; the other name of the same socket stays.
  const { linkSync, renameSync } = await import('node:fs');
  linkSync(path, `${path}.kept`);
  await new Promise((resolve) => old.close(resolve));
  renameSync(`${path}.kept`, path);
}

const request = (type: number, body: string) =>
  encodeMessage({ type, requestId: 1, transactionId: 0, body: toBytes(body) });

describe('a store on a socket', () => {
  it('is one store for all its clients', async () => {
    await serve();
    const [one, two] = [
      new XenstoreClient(await connectSocket(path)),
      new XenstoreClient(await connectSocket(path)),
    ];
    const big = 'x'.repeat(4000);
    await Promise.all(Array.from({ length: 300 }, (_, i) => one.write(`/d/n${i}`, `${i}${big}`)));
    const values = await Promise.all(Array.from({ length: 300 }, (_, i) => two.read(`/d/n${i}`)));
    expect(values).toEqual(Array.from({ length: 300 }, (_, i) => `${i}${big}`));
    const seen: string[] = [];
    for await (const changed of two.watch('/w')) {
      if (seen.push(changed) === 2) break;
      await one.write('/w/x', '');
    }
    expect(seen).toEqual(['/w', '/w/x']);
    // A relative path is domain 0's.
    await one.write('name', 'Domain-0');
    expect(await two.read('/local/domain/0/name')).toBe('Domain-0');
    one.close();
    two.close();
  });

  it('is for this user alone, and goes when it is closed', async () => {
    const server = await serve();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const client = new XenstoreClient(await connectSocket(path));
    const watch = client.watch('/');
    await watch.next();
    const waiting = watch.next();
    await server.close();
    await expect(waiting).rejects.toThrow(XenstoreProtocolError);
    expect(existsSync(path)).toBe(false);
  });

  it('takes the place of a socket that nobody listens on, and of nothing else', async () => {
    await leaveSocket();
    expect(existsSync(path)).toBe(true);
    await serve();
    await expect(serveSocket(new XenstoreServer(), path)).rejects.toThrow(
      `A server answers at ${path} already`,
    );
    const file = join(directory, 'file');
    writeFileSync(file, 'mine');
    await expect(serveSocket(new XenstoreServer(), file)).rejects.toThrow('is no socket');
    const link = join(directory, 'link');
    symlinkSync(file, link);
    await expect(serveSocket(new XenstoreServer(), link)).rejects.toThrow('is no socket');
    await expect(serveSocket(new XenstoreServer(), join(directory, 'no/socket'))).rejects.toThrow('ENOENT');
  });

  it('forgets what a client that went had registered', async () => {
    const store = new XenstoreServer();
    await serve(store);
    const client = new XenstoreClient(await connectSocket(path));
    await client.watch('/a').next();
    await client.write('/a', '');
    client.close();
    await expect.poll(() => store.statistics.connections).toBe(0);
  });

  it('does not ask a client for more that reads nothing, and serves the others meanwhile', async () => {
    const store = new XenstoreServer();
    await serve(store);
    new LocalXenstore(store).write('/big', 'x'.repeat(4000));
    const deaf = connect(path).pause();
    // Their replies would be some 700 MB.
    for (let i = 0; i < 200_000; i++) deaf.write(request(XS_READ, '/big\0'));
    await setTimeout(300);
    expect(deaf.writableLength).toBeGreaterThan(0);
    const client = new XenstoreClient(await connectSocket(path));
    expect(await client.read('/big')).toHaveLength(4000);
    client.close();
    deaf.destroy();
  });

  it('drops a client that leaves too many events unread', async () => {
    const store = new XenstoreServer();
    await serve(store, { maxUnread: 1024 * 1024 });
    const deaf = connect(path);
    deaf.write(request(XS_WATCH, '/\0t\0'));
    await new Promise((resolve) => deaf.once('data', resolve));
    deaf.pause();
    const tools = new LocalXenstore(store);
    const long = 'x'.repeat(2000);
    for (let i = 0; i < 10_000 && store.statistics.connections === 2; i++) {
      tools.write(`/${long}${i}`, '');
      tools.rm(`/${long}${i}`);
      if (i % 100 === 0) await setTimeout(0);
    }
    await expect.poll(() => store.statistics.connections).toBe(1);
  });

  it('drops a client that sends too long a message', async () => {
    await serve();
    const wrong = connect(path);
    const bytes = request(XS_READ, '');
    bytes[13] = 0x20;
    wrong.write(bytes);
    await new Promise((resolve) => wrong.once('close', resolve));
  });
});

it('the socket is where libxenstore looks for it', () => {
  expect(defaultSocketPath({})).toBe('/var/run/xenstored/socket');
  expect(defaultSocketPath({ XENSTORED_RUNDIR: '/run/x' })).toBe('/run/x/socket');
  expect(defaultSocketPath({ XENSTORED_RUNDIR: '/run/x', XENSTORED_PATH: '/y' })).toBe('/y');
});

it('nobody at a path is an error that says so', async () => {
  await expect(connectSocket(path)).rejects.toThrow('ENOENT');
});
