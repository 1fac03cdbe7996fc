import { expect, it } from 'vitest';
import { LocalXenstore, XenstoreServer } from '../index.js';

function setup() {
  const server = new XenstoreServer();
  return { server, one: new LocalXenstore(server), two: new LocalXenstore(server) };
}

it('shows its changes to itself only, until it commits', () => {
  const { one, two } = setup();
  const events: string[] = [];
  two.watch('/a', (path) => events.push(path));
  one.transaction(() => {
    one.write('/a/b', '1');
    expect(one.read('/a/b')).toBe('1');
    expect(two.readIfExists('/a/b')).toBeUndefined();
    expect(events).toEqual(['/a']);
  });
  expect(two.read('/a/b')).toBe('1');
  expect(events).toEqual(['/a', '/a/b']);
});

it('is abandoned when its body throws', () => {
  const { server, one } = setup();
  expect(() =>
    one.transaction(() => {
      one.write('/a', '1');
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(one.readIfExists('/a')).toBeUndefined();
  expect(server.check()).toEqual([]);
});

it('meets EAGAIN when what it read has changed', () => {
  const { server, one, two } = setup();
  one.write('/a', '0');
  const attempt = (interfere: () => void, body: () => void) =>
    one.transaction(() => {
      body();
      interfere();
    });
  const read = () => one.read('/a');
  const create = () => one.write('/dir/mine', '');
  expect(() => attempt(() => two.write('/a', '1'), read)).toThrow('EAGAIN');
  expect(() => attempt(() => two.rm('/a'), read)).toThrow('EAGAIN');
  expect(() => attempt(() => two.write('/dir/theirs', ''), create)).toThrow('EAGAIN');
  expect(one.list('/dir')).toEqual(['theirs']);
  attempt(() => two.write('/elsewhere/x', '1'), create);
  expect(one.list('/dir')).toEqual(['theirs', 'mine']);
  // It looks at a node when it first asks for it, not when it starts.
  attempt(
    () => {},
    () => {
      two.write('/dir/mine', 'changed');
      expect(one.read('/dir/mine')).toBe('changed');
    },
  );
  expect(server.check()).toEqual([]);
});

it('removes and recreates in one go', () => {
  const { server, one, two } = setup();
  one.write('/a/b/c', '1');
  const events: string[] = [];
  two.watch('/a/b/c', (path) => events.push(path));
  one.transaction(() => {
    one.rm('/a');
    expect(one.readIfExists('/a/b/c')).toBeUndefined();
    one.write('/a/x', '2');
    one.write('/gone', '');
    one.rm('/gone');
  });
  expect(two.list('/a')).toEqual(['x']);
  expect(two.readIfExists('/gone')).toBeUndefined();
  expect(events).toEqual(['/a/b/c', '/a/b/c']);
  expect(server.check()).toEqual([]);
});

it('a guest has eleven at a time, of 1024 nodes each, and keeps to its number of nodes', async () => {
  const { encodeMessage, connectInMemory, MessageParser } = await import('../index.js');
  const { XS_TRANSACTION_START, XS_ERROR } = await import('@xenolith/xen-abi');
  const { server, one } = setup();
  one.mkdir('/local/domain/1');
  one.setPermissions('/local/domain/1', [{ domid: 1, access: 'n' }]);
  const transport = connectInMemory(server, 1);
  const parser = new MessageParser();
  const types: number[] = [];
  transport.onReceive((bytes) => {
    for (const message of parser.feed(bytes)) types.push(message.type);
  });
  const start = encodeMessage({
    type: XS_TRANSACTION_START,
    requestId: 1,
    transactionId: 0,
    body: new Uint8Array(1),
  });
  for (let i = 0; i < 12; i++) transport.send(start);
  expect(types).toEqual([...Array(11).fill(XS_TRANSACTION_START), XS_ERROR]);

  const small = new XenstoreServer({ quotas: { nodes: 5, 'transaction-nodes': 8 } });
  const tools = new LocalXenstore(small);
  tools.mkdir('/local/domain/1');
  tools.setPermissions('/local/domain/1', [{ domid: 1, access: 'n' }]);
  const guest = new LocalXenstore(small, 1);
  const make = (count: number) =>
    guest.transaction(() => {
      for (let i = 0; i < count; i++) guest.mkdir(`n${i}`);
    });
  expect(() => make(4)).toThrow('ENOSPC');
  expect(() => make(9)).toThrow('ENOSPC');
  make(3);
  expect(tools.list('/local/domain/1')).toEqual(['n0', 'n1', 'n2']);
  expect(small.check()).toEqual([]);
});
