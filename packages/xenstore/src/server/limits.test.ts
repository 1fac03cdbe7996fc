import * as abi from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import {
  LocalXenstore,
  type ServerConnection,
  XenstoreServer,
  type XenstoreServerOptions,
} from '../index.js';
import { encodeMessage } from '../wire/message.js';
import { MessageParser } from '../wire/parser.js';
import { fromBytes, toBytes } from '../wire/text.js';

/** Time that passes when a test says so. */
class TestTimer {
  private time = 0;
  private waiting: { at: number; run: () => void }[] = [];

  get pending(): number {
    return this.waiting.length;
  }

  now(): number {
    return this.time;
  }

  after(milliseconds: number, run: () => void): () => void {
    const entry = { at: this.time + milliseconds, run };
    this.waiting.push(entry);
    return () => {
      this.waiting = this.waiting.filter((each) => each !== entry);
    };
  }

  pass(milliseconds: number): void {
    const end = this.time + milliseconds;
    for (;;) {
      const next = this.waiting.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.waiting = this.waiting.filter((each) => each !== next);
      this.time = next.at;
      next.run();
    }
    this.time = end;
  }
}

/** A domain that sends requests while the server takes them, and reads when it is told to. */
class Domain {
  readonly connection: ServerConnection;
  readonly messages: string[] = [];
  private readonly parser = new MessageParser();
  private readonly unsent: Uint8Array[] = [];

  constructor(server: XenstoreServer, domid: number) {
    this.connection = server.connect(domid, { outputReady: () => this.pump() });
  }

  send(type: number, body: string, transactionId = 0): void {
    this.unsent.push(encodeMessage({ type, requestId: 1, transactionId, body: toBytes(body) }));
    this.pump();
  }

  /** Requests that the server does not take for now. */
  get waiting(): number {
    return this.unsent.length;
  }

  read(): string[] {
    for (let bytes = this.connection.peekOutput(); bytes; bytes = this.connection.peekOutput()) {
      for (const { body } of this.parser.feed(bytes)) this.messages.push(fromBytes(body));
      this.connection.consumeOutput(bytes.length);
    }
    return this.messages.splice(0);
  }

  private pump(): void {
    while (this.connection?.acceptsInput && this.unsent.length > 0)
      this.connection.feed(this.unsent.shift()!);
  }
}

function setup(options: XenstoreServerOptions = {}) {
  const timer = new TestTimer();
  const server = new XenstoreServer({ timer, ...options });
  const tools = new LocalXenstore(server);
  const domains = [1, 2].map((domid) => {
    tools.mkdir(`/local/domain/${domid}`);
    tools.setPermissions(`/local/domain/${domid}`, [{ domid, access: 'r' }]);
    return new Domain(server, domid);
  }) as [Domain, Domain];
  return { server, tools, timer, one: domains[0], two: domains[1] };
}

const OK = 'OK\0';

describe('outstanding requests', () => {
  it('20 unread replies, and no more requests are taken', () => {
    const { one } = setup();
    for (let i = 0; i < 30; i++) one.send(abi.XS_WRITE, `n${i}\0`);
    expect(one.waiting).toBe(10);
    expect(one.read()).toEqual(Array(30).fill(OK));
    expect(one.waiting).toBe(0);
  });

  it('last until others have read the events, too', () => {
    const { one, two } = setup();
    two.send(abi.XS_WATCH, '/local/domain/1\0t\0');
    two.read();
    for (let i = 0; i < 30; i++) {
      one.send(abi.XS_WRITE, `n${i}\0`);
      one.read();
    }
    // Each of 20 has an event that nobody has read; its own replies do not help.
    expect(one.waiting).toBe(10);
    expect(two.read()).toHaveLength(30);
    expect(one.waiting).toBe(0);
    expect(one.read()).toHaveLength(10);
  });

  it('until these events time out, but for one that is being read', () => {
    const { one, two, timer } = setup();
    two.send(abi.XS_WATCH, '/local/domain/1\0t\0');
    two.read();
    for (let i = 0; i < 30; i++) {
      one.send(abi.XS_WRITE, `n${i}\0`);
      one.read();
    }
    two.connection.consumeOutput(5);
    timer.pass(19_999);
    expect(one.waiting).toBe(10);
    timer.pass(1);
    expect(one.waiting).toBe(0);
    timer.pass(20_000);
    // The rest of the one whose first bytes have been read.
    const left = two.connection.peekOutput()!;
    two.connection.consumeOutput(left.length);
    expect(two.connection.peekOutput()).toBeUndefined();
  });

  it('end with the one who does not read', () => {
    const { server, one, two, timer } = setup();
    two.send(abi.XS_WATCH, '/local/domain/1\0t\0');
    two.read();
    for (let i = 0; i < 30; i++) {
      one.send(abi.XS_WRITE, `n${i}\0`);
      one.read();
    }
    expect(one.waiting).toBe(10);
    expect(timer.pending).toBe(1);
    server.domainDestroyed(2);
    expect(one.waiting).toBe(0);
    expect(timer.pending).toBe(0);
  });
});

describe('memory of a domain', () => {
  it('is that of its nodes, watches, transactions and unread messages', () => {
    const { server, tools, one } = setup();
    const memory = () => Number(/memory +: +(\d+)/.exec(control())![1]);
    const control = () => controlOf(server, 'quota', '1');
    // Header, one permission, path.
    const home = 24 + 8 + '/local/domain/1'.length;
    expect(memory()).toBe(home);
    one.send(abi.XS_WRITE, 'a\0value');
    one.read();
    // The node, and its name among the children of its parent.
    const node = 24 + 8 + 5 + '/local/domain/1/a'.length + 2;
    expect(memory()).toBe(home + node);
    one.send(abi.XS_WATCH, 'a\0token\0');
    const watch = '/local/domain/1/a'.length + 5;
    // Unread: the reply and the first event.
    expect(memory()).toBe(home + node + watch + (16 + 3) + (16 + 2 + 6));
    one.read();
    one.send(abi.XS_TRANSACTION_START, '\0');
    one.send(abi.XS_READ, 'a\0', 1);
    one.read();
    // A copy, under a path that begins with the transaction's number and a slash.
    expect(memory() - home - node - watch - (24 + 8 + 5 + '/local/domain/1/a'.length)).toBeLessThan(4);
    one.send(abi.XS_TRANSACTION_END, 'F\0', 1);
    one.send(abi.XS_RESET_WATCHES, '\0');
    one.send(abi.XS_RM, 'a\0');
    one.read();
    expect(memory()).toBe(home);
    tools.rm('/local/domain/1');
    expect(memory()).toBe(0);
    expect(server.check()).toEqual([]);
  });

  it('is limited', () => {
    const { server, tools, one } = setup({ quotas: { memory: 1000 } });
    const fill = 'x'.repeat(700);
    one.send(abi.XS_WRITE, `a\0${fill}`);
    expect(one.read()).toEqual([OK]);
    one.send(abi.XS_WRITE, `b\0${fill}`);
    one.send(abi.XS_WRITE, `a\0${fill}${fill}`);
    one.send(abi.XS_WATCH, `a\0${fill}\0`);
    // A reply that would not fit, either.
    one.send(abi.XS_READ, 'a\0');
    expect(one.read()).toEqual(['EIO\0', 'EIO\0', 'ENOMEM\0', 'ENOMEM\0']);
    // Nor may tools give it more.
    expect(() => tools.write('/local/domain/1/c', fill)).toThrow('EIO');
    expect(() => tools.write('/elsewhere', fill)).not.toThrow();
    // In a transaction, the copies count, and the refusal ends it.
    one.send(abi.XS_TRANSACTION_START, '\0');
    one.send(abi.XS_WRITE, `d\0${fill}`, 1);
    one.send(abi.XS_TRANSACTION_END, 'T\0', 1);
    expect(one.read()).toEqual(['1\0', 'EIO\0', 'ENOMEM\0']);
    // What is above all limits is not even asked for.
    server.quotas.memory = 500;
    one.send(abi.XS_READ, 'b\0');
    expect([one.waiting, one.read()]).toEqual([1, []]);
    expect(server.check()).toEqual([]);
  });

  it('limits the events that wait', () => {
    const { tools, one } = setup({ quotas: { memory: 1000 } });
    tools.mkdir('/shared');
    tools.setPermissions('/shared', [{ domid: 0, access: 'r' }]);
    one.send(abi.XS_WATCH, '/shared\0t\0');
    one.read();
    for (let i = 0; i < 100; i++) tools.write(`/shared/n${i}`, '');
    expect(one.connection.outputBytes).toBeGreaterThan(800);
    expect(one.connection.outputBytes).toBeLessThan(1000);
  });
});

describe('the write rate of a domain', () => {
  const write = (domain: Domain, count: number) => {
    for (let i = 0; i < count; i++) {
      domain.send(abi.XS_WRITE, 'a\0');
      domain.read();
    }
  };

  it('has no limit while nobody has a transaction open', () => {
    const { one } = setup();
    write(one, 1000);
    expect(one.waiting).toBe(0);
  });

  it('is a burst of ten and then a share of 200 a second, where it could make a transaction fail', () => {
    const { one, two, timer, server } = setup();
    one.send(abi.XS_WRITE, 'a\0');
    one.read();
    two.send(abi.XS_TRANSACTION_START, '\0');
    two.read();
    write(one, 1000);
    // Ten, and the one by which the credit falls below nothing.
    expect(one.waiting).toBe(1000 - 11);
    const before = one.waiting;
    for (let ms = 0; ms < 1000; ms++) {
      timer.pass(1);
      one.read();
    }
    expect(before - one.waiting).toBeGreaterThan(90);
    expect(before - one.waiting).toBeLessThan(111);
    server.domainDestroyed(2);
    timer.pass(100);
    one.read();
    timer.pass(100);
    one.read();
    expect(one.waiting).toBeLessThan(before - 200);
  });

  it('counts a commit once, and only beside the transactions of others', () => {
    const { one, two } = setup();
    const commits = (count: number) => {
      for (let i = 0; i < count; i++) {
        one.send(abi.XS_TRANSACTION_START, '\0');
        const id = Number.parseInt(one.read()[0] ?? '0', 10);
        for (let n = 0; n < 5; n++) one.send(abi.XS_WRITE, `n${n}\0`, id);
        one.send(abi.XS_TRANSACTION_END, 'T\0', id);
        one.read();
      }
    };
    commits(30);
    expect(one.waiting).toBe(0);
    two.send(abi.XS_TRANSACTION_START, '\0');
    two.read();
    commits(11);
    expect(one.waiting).toBe(0);
    one.send(abi.XS_READ, 'n0\0');
    expect(one.waiting).toBe(1);
  });
});

function controlOf(server: XenstoreServer, ...args: string[]): string {
  let reply = '';
  const parser = new MessageParser();
  const connection = server.connect(0, (bytes) => {
    for (const { body } of parser.feed(bytes)) reply += fromBytes(body);
  });
  const body = toBytes(args.map((arg) => `${arg}\0`).join(''));
  connection.feed(encodeMessage({ type: abi.XS_CONTROL, requestId: 1, transactionId: 0, body }));
  connection.close();
  return reply;
}
