import * as abi from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import {
  LocalXenstore,
  type ServerConnection,
  XenstoreServer,
  type XenstoreServerOptions,
} from '../index.js';
import { encodeMessage } from '../wire/message.js';
import { messageName } from '../wire/names.js';
import { MessageParser } from '../wire/parser.js';
import { fromBytes, toBytes } from '../wire/text.js';

/** A client that speaks the protocol as bytes: what it got is `READ 7/0 value`. */
class RawClient {
  readonly got: string[] = [];
  readonly connection: ServerConnection;

  constructor(server: XenstoreServer, domid = 0) {
    const parser = new MessageParser();
    this.connection = server.connect(domid, (bytes) => {
      for (const { type, requestId, transactionId, body } of parser.feed(bytes)) {
        this.got.push(`${messageName(type)} ${requestId}/${transactionId} ${fromBytes(body)}`);
      }
    });
  }

  /** @returns what arrived because of it */
  send(type: number, body: string, requestId = 1, transactionId = 0): string[] {
    const before = this.got.length;
    this.connection.feed(encodeMessage({ type, requestId, transactionId, body: toBytes(body) }));
    return this.got.slice(before);
  }

  /** The reply's payload, or the error's name. */
  ask(type: number, body: string, transactionId = 0): string {
    const reply = this.send(type, body, 1, transactionId).at(-1)!;
    return reply.slice(reply.indexOf(' ', reply.indexOf('/')) + 1);
  }
}

function setup(options: XenstoreServerOptions = {}) {
  const server = new XenstoreServer(options);
  return { server, tools: new RawClient(server), store: new LocalXenstore(server) };
}

describe('the protocol', () => {
  it('repeats the request id and the transaction in replies and errors', () => {
    const { tools } = setup();
    expect(tools.send(abi.XS_WRITE, '/a\0v', 7)).toEqual(['WRITE 7/0 OK\0']);
    expect(tools.send(abi.XS_READ, '/a\0', 8)).toEqual(['READ 8/0 v']);
    expect(tools.send(abi.XS_READ, '/b\0', 9)).toEqual(['ERROR 9/0 ENOENT\0']);
    expect(tools.send(abi.XS_TRANSACTION_START, '\0', 10)).toEqual(['TRANSACTION_START 10/0 1\0']);
    expect(tools.send(abi.XS_READ, '/b\0', 11, 1)).toEqual(['ERROR 11/1 ENOENT\0']);
    expect(tools.send(abi.XS_TRANSACTION_END, 'T\0', 12, 1)).toEqual(['TRANSACTION_END 12/1 OK\0']);
  });

  it('acknowledges a watch before its first event; a change is told before it is acknowledged', () => {
    const { tools } = setup();
    expect(tools.send(abi.XS_WATCH, '/a\0t\0')).toEqual(['WATCH 1/0 OK\0', 'WATCH_EVENT 0/0 /a\0t\0']);
    expect(tools.send(abi.XS_MKDIR, '/a/b\0')).toEqual(['WATCH_EVENT 0/0 /a/b\0t\0', 'MKDIR 1/0 OK\0']);
    expect(tools.ask(abi.XS_WATCH, '/a\0t\0')).toBe('EEXIST\0');
    expect(tools.ask(abi.XS_UNWATCH, '/a\0u\0')).toBe('ENOENT\0');
    expect(tools.ask(abi.XS_UNWATCH, '/a\0t\0')).toBe('OK\0');
    expect(tools.ask(abi.XS_WATCH, 'a/\0t\0')).toBe('EINVAL\0');
    expect(tools.ask(abi.XS_WATCH, '/a\0t\x003\0')).toBe('EINVAL\0');
  });

  it('answers what it does not know, and what makes no sense', () => {
    const { tools } = setup();
    expect(tools.ask(20, '')).toBe('ENOSYS\0'); // RESTRICT, long removed
    expect(tools.ask(abi.XS_WATCH_EVENT, '')).toBe('ENOSYS\0');
    expect(tools.ask(0xffff, '')).toBe('ENOSYS\0');
    for (const [type, body] of [
      [abi.XS_READ, ''],
      [abi.XS_READ, '/a'],
      [abi.XS_READ, '/a\0b\0'],
      [abi.XS_WRITE, '/a'],
      [abi.XS_SET_PERMS, '/\0'],
      [abi.XS_SET_PERMS, '/\0x0\0'],
      [abi.XS_SET_PERMS, '/\0r\0'],
      [abi.XS_TRANSACTION_END, 'X\0'],
      [abi.XS_DIRECTORY_PART, '/\0'],
      [abi.XS_RELEASE, '0\0'],
      [abi.XS_INTRODUCE, '1\x000\x000\0'],
    ] as const) {
      expect(tools.ask(type, body), `${messageName(type)} ${body}`).toBe('EINVAL\0');
    }
    expect(tools.ask(abi.XS_READ, '/\0', 5)).toBe('ENOENT\0');
    expect(tools.ask(abi.XS_TRANSACTION_END, 'T\0')).toBe('ENOENT\0');
    tools.ask(abi.XS_TRANSACTION_START, '\0');
    expect(tools.ask(abi.XS_TRANSACTION_START, '\0', 1)).toBe('EBUSY\0');
  });

  it('reads permissions as C does, and writes them in decimal', () => {
    const { tools } = setup();
    tools.ask(abi.XS_MKDIR, '/a\0');
    expect(tools.ask(abi.XS_SET_PERMS, '/a\0n0\0r0x10\0w010\0b7\0')).toBe('OK\0');
    expect(tools.ask(abi.XS_GET_PERMS, '/a\0')).toBe('n0\0r16\0w8\0b7\0');
  });

  it('gives long lists in parts', () => {
    const { tools } = setup();
    const names = Array.from({ length: 300 }, (_, i) => `a-rather-long-name-${i}`);
    for (const name of names) tools.ask(abi.XS_WRITE, `/d/${name}\0`);
    expect(tools.ask(abi.XS_DIRECTORY, '/d\0')).toBe('E2BIG\0');
    let list = '';
    let parts = 0;
    for (; !list.endsWith('\0\0'); parts++) {
      const reply = tools.ask(abi.XS_DIRECTORY_PART, `/d\0${list.length}\0`);
      expect(reply.length).toBeLessThanOrEqual(4096);
      list += reply.slice(reply.indexOf('\0') + 1);
    }
    expect(parts).toBe(2);
    expect(list).toBe(`${names.join('\0')}\0\0`);
    expect(tools.ask(abi.XS_DIRECTORY_PART, '/d\x00100000\0')).toMatch(/^\d+\0\0$/);
    expect(tools.ask(abi.XS_DIRECTORY_PART, '/d/a-rather-long-name-0\x000\0')).toMatch(/^\d+\0\0$/);
  });

  it('drops a client whose payload is too long', () => {
    const { server, tools, store } = setup();
    tools.ask(abi.XS_WATCH, '/\0t\0');
    const bytes = new Uint8Array(16);
    bytes[13] = 0x11;
    tools.connection.feed(bytes);
    store.write('/x', '');
    expect(tools.connection.open).toBe(false);
    expect(tools.send(abi.XS_READ, '/x\0')).toEqual([]);
    expect(server.check()).toEqual([]);
  });
});

describe('domain management', () => {
  it('is for domain 0', () => {
    const { server, tools } = setup();
    const guest = new RawClient(server, 1);
    for (const type of [
      abi.XS_CONTROL,
      abi.XS_INTRODUCE,
      abi.XS_RELEASE,
      abi.XS_IS_DOMAIN_INTRODUCED,
      abi.XS_RESUME,
      abi.XS_SET_TARGET,
    ]) {
      expect(guest.ask(type, '1\0'), messageName(type)).toBe('EACCES\0');
    }
    expect(guest.ask(abi.XS_GET_DOMAIN_PATH, '7\0')).toBe('/local/domain/7\0');
    expect(tools.ask(abi.XS_IS_DOMAIN_INTRODUCED, '1\0')).toBe('T\0');
    expect(tools.ask(abi.XS_IS_DOMAIN_INTRODUCED, '2\0')).toBe('F\0');
    expect(tools.ask(abi.XS_RELEASE, '2\0')).toBe('ENOENT\0');
    expect(tools.ask(abi.XS_RELEASE, '1\0')).toBe('OK\0');
    expect(tools.ask(abi.XS_IS_DOMAIN_INTRODUCED, '1\0')).toBe('F\0');
    expect(guest.connection.open).toBe(false);
  });

  it('INTRODUCE asks the host, and resets a domain that is there', () => {
    const asked: number[][] = [];
    const { server, tools } = setup({ introduce: (...args) => asked.push(args) });
    expect(tools.ask(abi.XS_INTRODUCE, '5\x00-1\x003\0')).toBe('OK\0');
    expect(asked).toEqual([[5, -1, 3]]);
    const guest = new RawClient(server, 5);
    guest.ask(abi.XS_WATCH, 'x\0t\0');
    guest.ask(abi.XS_TRANSACTION_START, '\0');
    expect(tools.ask(abi.XS_INTRODUCE, '5\x00-1\x003\0')).toBe('OK\0');
    expect(asked).toHaveLength(1);
    expect(guest.connection.watches.size).toBe(0);
    expect(guest.ask(abi.XS_TRANSACTION_END, 'F\0', 1)).toBe('ENOENT\0');
    expect(setup().tools.ask(abi.XS_INTRODUCE, '5\x00-1\x003\0')).toBe('ENOSYS\0');
  });

  it('INTRODUCE of a domain that is there tells its port', () => {
    const { server, tools } = setup();
    const told: (number | string)[] = [];
    server.connect(5, {
      outputReady() {},
      rebind: (port) => told.push(port),
      reset: () => told.push('reset'),
    });
    expect(tools.ask(abi.XS_INTRODUCE, '5\x00-1\x004\0')).toBe('OK\0');
    expect(told).toEqual([4, 'reset']);
  });

  it('RESUME lets a shutdown be told again', () => {
    const { server, tools } = setup();
    new RawClient(server, 1);
    tools.send(abi.XS_WATCH, '@releaseDomain\0t\0');
    const events = () => tools.got.filter((line) => line.startsWith('WATCH_EVENT')).length;
    server.domainShutdown(1);
    server.domainShutdown(1);
    expect(events()).toBe(2);
    tools.ask(abi.XS_RESUME, '1\0');
    server.domainShutdown(1);
    expect(events()).toBe(3);
  });

  it('SET_TARGET gives a device model the rights of its guest', () => {
    const { server, tools } = setup();
    const [guest, model] = [1, 2].map((domid) => new RawClient(server, domid)) as [RawClient, RawClient];
    tools.ask(abi.XS_WRITE, '/local/domain/1/x\0v');
    tools.ask(abi.XS_SET_PERMS, '/local/domain/1/x\0n1\0');
    expect(guest.ask(abi.XS_READ, 'x\0')).toBe('v');
    expect(model.ask(abi.XS_READ, '/local/domain/1/x\0')).toBe('EACCES\0');
    expect(tools.ask(abi.XS_SET_TARGET, '2\x003\0')).toBe('ENOENT\0');
    expect(tools.ask(abi.XS_SET_TARGET, '2\x001\0')).toBe('OK\0');
    expect(model.ask(abi.XS_READ, '/local/domain/1/x\0')).toBe('v');
  });

  it('RESET_WATCHES drops watches and transactions', () => {
    const { server, store } = setup();
    const guest = new RawClient(server, 1);
    guest.ask(abi.XS_WATCH, '@releaseDomain\0t\0');
    guest.ask(abi.XS_TRANSACTION_START, '\0');
    expect(guest.ask(abi.XS_RESET_WATCHES, '\0')).toBe('OK\0');
    expect(guest.connection.watches.size).toBe(0);
    expect(guest.ask(abi.XS_TRANSACTION_END, 'T\0', 1)).toBe('ENOENT\0');
    store.close();
  });
});

describe('control', () => {
  it('has the commands that make sense here', () => {
    const lines: string[] = [];
    const { server, tools, store } = setup({ onLog: (line) => lines.push(line) });
    expect(tools.ask(abi.XS_CONTROL, 'help\0')).toContain('print\t<string>\n');
    expect(tools.ask(abi.XS_CONTROL, 'print\0hello\0')).toBe('OK\0');
    expect(tools.ask(abi.XS_CONTROL, 'check\0')).toBe('OK\0');
    expect(lines).toEqual(['hello']);
    expect(tools.ask(abi.XS_CONTROL, 'quota\0')).toContain('nodes            :     1000 Nodes per domain\n');
    expect(tools.ask(abi.XS_CONTROL, 'quota\0set\0nodes\x005\0')).toBe('OK\0');
    expect(server.quotas.nodes).toBe(5);
    store.write('/a', '');
    expect(tools.ask(abi.XS_CONTROL, 'quota\x000\0')).toContain('nodes           :        4\n');
    for (const body of ['', 'live-update\0-s\0', 'toString\0', 'quota\0set\0nodes\0']) {
      expect(tools.ask(abi.XS_CONTROL, body), body).toBe('EINVAL\0');
    }
    expect(tools.ask(abi.XS_CONTROL, 'quota\x009\0')).toBe('ENOENT\0');
  });
});

it('tells a listener of every message', () => {
  const lines: string[] = [];
  const { tools } = setup({
    onMessage: (domid, direction, type, body, ids) =>
      lines.push(`${domid} ${direction} ${messageName(type)} ${fromBytes(body)} ${ids.requestId}`),
  });
  tools.send(abi.XS_WATCH, '/a\0t\0', 3);
  tools.send(abi.XS_RM, '/x/y\0', 4);
  expect(lines).toEqual([
    '0 in WATCH /a\0t\0 3',
    '0 out WATCH OK\0 3',
    '0 out WATCH_EVENT /a\0t\0 0',
    '0 in RM /x/y\0 4',
    '0 out ERROR ENOENT\0 4',
  ]);
});
