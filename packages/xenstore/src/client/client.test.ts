import { afterEach, describe, expect, it } from 'vitest';
import {
  connectInMemory,
  XenstoreClient,
  XenstoreError,
  XenstoreProtocolError,
  XenstoreServer,
} from '../index.js';
import { encodeMessage } from '../wire/message.js';

const clients: XenstoreClient[] = [];

function connect(server: XenstoreServer, domid = 0): XenstoreClient {
  const client = new XenstoreClient(connectInMemory(server, domid));
  clients.push(client);
  return client;
}

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

describe('XenstoreClient', () => {
  it('reads, writes, lists, removes, and keeps UTF-8 and bytes', async () => {
    const client = connect(new XenstoreServer());
    await client.write('/a/b', 'grün');
    await client.write('/a/c', new Uint8Array([0, 255]));
    await client.mkdir('/a/d');
    expect(await client.read('/a/b')).toBe('grün');
    expect([...(await client.readBytes('/a/c'))]).toEqual([0, 255]);
    expect(await client.list('/a')).toEqual(['b', 'c', 'd']);
    expect(await client.list('/a/d')).toEqual([]);
    await client.rm('/a/b');
    await expect(client.read('/a/b')).rejects.toMatchObject({ code: 'ENOENT', message: 'ENOENT: READ /a/b' });
    await client.setPermissions('/a', [{ domid: 0, access: 'b' }]);
    expect(await client.getPermissions('/a')).toEqual([{ domid: 0, access: 'b' }]);
  });

  it('lists more than fits in a message, also while the list changes', async () => {
    const client = connect(new XenstoreServer());
    const names = Array.from({ length: 500 }, (_, i) => `a-rather-long-name-${i}`);
    await Promise.all(names.map((name) => client.write(`/d/${name}`, '')));
    expect(await client.list('/d')).toEqual(names);
    const list = client.list('/d');
    await Promise.resolve();
    await client.write('/d/late', '');
    expect(await list).toEqual([...names, 'late']);
  });

  it('refuses what would cost the connection, and NULs in paths', async () => {
    const client = connect(new XenstoreServer());
    await expect(client.write('/a', 'x'.repeat(4096))).rejects.toMatchObject({ code: 'E2BIG' });
    await client.write('/a', 'x'.repeat(4093));
    await expect(client.write('/a\0b', '')).rejects.toThrow(RangeError);
    expect(await client.read('/a')).toHaveLength(4093);
  });

  it('runs a transaction again until it meets no conflict', async () => {
    const server = new XenstoreServer();
    const client = connect(server);
    await client.write('/counter', '0');
    const increment = () =>
      client.transaction(async (transaction) => {
        const value = Number(await transaction.read('/counter'));
        await transaction.write('/counter', String(value + 1));
        return value;
      });
    const seen = await Promise.all(Array.from({ length: 8 }, increment));
    expect(seen.sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(await client.read('/counter')).toBe('8');
    expect(server.check()).toEqual([]);
  });

  it('gives up after as many attempts as it is told, and passes errors of the body on', async () => {
    const client = connect(new XenstoreServer());
    let runs = 0;
    const hopeless = client.transaction(
      async (transaction) => {
        runs++;
        await transaction.mkdir('/a/mine');
        await client.write(`/a/theirs${runs}`, '');
      },
      { attempts: 3 },
    );
    await expect(hopeless).rejects.toMatchObject({ code: 'EAGAIN' });
    expect(runs).toBe(3);
    const failing = client.transaction(async (transaction) => {
      await transaction.write('/b', '');
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    await expect(client.read('/b')).rejects.toThrow(XenstoreError);
  });

  it('waits for what a node should be', async () => {
    const server = new XenstoreServer();
    const client = connect(server);
    const other = connect(server);
    const waited = client.wait('/a/state', (value) => value === '4');
    await other.write('/a/state', '2');
    await other.write('/a/state', '4');
    expect(await waited).toBe('4');
    const gone = client.wait('/a/state', (value) => value === undefined);
    await other.rm('/a');
    expect(await gone).toBeUndefined();
    expect(await client.wait('/none', (value) => value === undefined)).toBeUndefined();
    await expect(client.wait('/a//b', () => true)).rejects.toMatchObject({ code: 'EINVAL' });
    const control = new AbortController();
    const forever = client.wait('/b', (value) => value === 'x', { signal: control.signal });
    await other.write('/b', 'y');
    control.abort(new Error('enough'));
    await expect(forever).rejects.toThrow('enough');
    await expect(client.wait('/b', () => true, { signal: control.signal })).rejects.toThrow('enough');
    await expect.poll(() => server.statistics.watches).toBe(0);
  });

  it('watches as an iteration, that keeps each unread path once', async () => {
    const server = new XenstoreServer();
    const client = connect(server);
    const other = connect(server);
    const watch = client.watch('/a');
    await other.write('/a/x', '1');
    await other.write('/a/x', '2');
    await other.write('/a/y', '1');
    const seen: string[] = [];
    for await (const path of watch) {
      seen.push(path);
      if (seen.length === 3) break;
    }
    expect(seen).toEqual(['/a', '/a/x', '/a/y']);
    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });

  it('ends waiting iterations when a watch is closed, refused, or lost with the connection', async () => {
    const client = connect(new XenstoreServer());
    const [closed, lost] = [client.watch('/a'), client.watch('/b')];
    await closed.next();
    await lost.next();
    const waiting = closed.next();
    await closed.close();
    expect((await waiting).done).toBe(true);
    await expect(client.watch('/a//b').next()).rejects.toMatchObject({ code: 'EINVAL' });
    const forever = lost.next();
    client.close();
    await expect(forever).rejects.toThrow(XenstoreProtocolError);
    await expect(client.read('/a')).rejects.toThrow('The connection is closed.');
  });

  it('manages domains', async () => {
    const introduced: number[] = [];
    const server = new XenstoreServer({ introduce: (domid) => introduced.push(domid) });
    const client = connect(server);
    expect(await client.getDomainPath(4)).toBe('/local/domain/4');
    await client.introduce(4, 100, 1);
    expect(introduced).toEqual([4]);
    connect(server, 5);
    connect(server, 6);
    expect(await client.isDomainIntroduced(5)).toBe(true);
    await client.setTarget(5, 6);
    await client.release(5);
    expect(await client.isDomainIntroduced(5)).toBe(false);
    expect(await client.control('help')).toContain('quota');
    await client.resetWatches();
  });

  it('loses a connection on which nonsense arrives', async () => {
    let receive: (bytes: Uint8Array) => void = () => {};
    const client = new XenstoreClient({
      send: () => {},
      onReceive: (handler) => {
        receive = handler;
      },
      onClose: () => {},
      close: () => {},
    });
    const read = client.read('/a');
    receive(encodeMessage({ type: 2, requestId: 99, transactionId: 0, body: new Uint8Array(0) }));
    await expect(read).rejects.toThrow('A reply to no request: READ.');
  });
});
