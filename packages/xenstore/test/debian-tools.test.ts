import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalXenstore, XenstoreServer } from '@xenolith/xenstore';
import { type SocketServer, serveSocket } from '@xenolith/xenstore/node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toolsMissing, xenstoreTool, xenstoreWatch } from './debian-tools.js';

describe.skipIf(toolsMissing)("Debian's xenstore tools on our server", () => {
  let directory: string;
  let path: string;
  let socket: SocketServer;
  let store: LocalXenstore;
  const tool = (name: string, ...args: string[]) => xenstoreTool(path, name, ...args);
  const output = async (name: string, ...args: string[]) => {
    const { status, stdout, stderr } = await tool(name, ...args);
    expect({ status, stderr }, `xenstore-${name} ${args.join(' ')}`).toEqual({ status: 0, stderr: '' });
    return stdout;
  };

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'xenstore-'));
    path = join(directory, 'socket');
    const server = new XenstoreServer();
    store = new LocalXenstore(server);
    socket = await serveSocket(server, path);
  });

  afterEach(async () => {
    await socket.close();
    rmSync(directory, { recursive: true });
  });

  it('write, read, list, ls, chmod, exists and rm', async () => {
    await output('write', '/a/b', 'hello', '/a/c', 'two words');
    expect(store.read('/a/b')).toBe('hello');
    expect(await output('read', '/a/b')).toBe('hello\n');
    expect(await output('read', '-p', '/a/b', '/a/c')).toBe('/a/b: hello\n/a/c: two words\n');
    expect(await output('list', '/a')).toBe('b\nc\n');
    expect(await output('list', '-p', '/a')).toBe('/a/b\n/a/c\n');
    await output('chmod', '-u', '/a/b', 'n1');
    expect(store.getPermissions('/a')).toEqual([{ domid: 1, access: 'n' }]);
    await output('chmod', '-r', '/a', 'w0');
    await output('chmod', '/a/b', 'n0', 'r7', 'b8');
    expect(await output('ls', '-fp')).toBe(
      [
        '/tool = ""   (n0)',
        '/tool/xenstored = ""   (n0)',
        '/a = ""   (w0)',
        '/a/b = "hello"   (n0,r7,b8)',
        '/a/c = "two words"   (w0)',
        '',
      ].join('\n'),
    );
    expect(await output('exists', '/a/b')).toBe('');
    await output('rm', '-t', '/a/b');
    expect((await tool('exists', '/a/b')).status).toBe(1);
    expect((await tool('read', '/a/b')).stderr).toBe("xenstore-read: couldn't read path /a/b\n");
    expect(await output('ls', '/a')).toBe('c = "two words"\n');
  });

  it('lists more than fits in one reply', async () => {
    const names = Array.from({ length: 300 }, (_, i) => `a-rather-long-name-${i}`);
    for (const name of names) store.write(`/d/${name}`, '');
    expect(await output('list', '/d')).toBe(`${names.join('\n')}\n`);
  });

  it('watch', async () => {
    const watch = xenstoreWatch(path, '-n', '4', '/a', '@introduceDomain');
    expect([await watch.next(), await watch.next()].sort()).toEqual(['/a', '@introduceDomain']);
    await output('write', '/a/b', '1');
    expect(await watch.next()).toBe('/a/b');
    await output('rm', '/a');
    expect(await watch.next()).toBe('/a');
    expect(await watch.ended).toBe(0);
  });
});
