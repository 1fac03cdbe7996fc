import { XS_READ, XS_TRANSACTION_END, XS_TRANSACTION_START, XS_WATCH, XS_WRITE } from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { LocalXenstore, XenstoreServer } from '../index.js';
import { encodeMessage } from '../wire/message.js';
import { toBytes } from '../wire/text.js';

// Xen's security advisories about xenstore (https://xenbits.xen.org/xsa/), in our own words.

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'no error';
};

/** A store with guests, each of which owns `/local/domain/N/data`. */
function setup(...domids: number[]) {
  const live = new Set(domids);
  const server = new XenstoreServer({ domainExists: (domid) => domid === 0 || live.has(domid) });
  const tools = new LocalXenstore(server);
  const prepare = (domid: number) => {
    live.add(domid);
    tools.mkdir(`/local/domain/${domid}/data`);
    tools.setPermissions(`/local/domain/${domid}`, [
      { domid: 0, access: 'n' },
      { domid, access: 'r' },
    ]);
    tools.setPermissions(`/local/domain/${domid}/data`, [{ domid, access: 'n' }]);
  };
  const introduce = (domid: number) => {
    prepare(domid);
    return new LocalXenstore(server, domid);
  };
  const die = (domid: number) => {
    live.delete(domid);
    server.domainDestroyed(domid);
  };
  return { server, tools, prepare, introduce, die, guests: domids.map(introduce) };
}

const owned = (tools: LocalXenstore, path: string): number =>
  tools.list(path).reduce((sum, name) => sum + 1 + owned(tools, `${path}/${name}`), 0);

describe('permissions', () => {
  it('XSA-115: a watch tells nothing of nodes that its domain may not read, nor of their going', () => {
    const { tools, guests } = setup(1, 2);
    const seen: string[] = [];
    guests[0]!.watch('/local/domain/2', (path) => seen.push(path));
    seen.length = 0;
    guests[1]!.write('data/secret', 'x');
    guests[1]!.rm('data/secret');
    tools.write('/local/domain/2/name', 'y');
    expect(seen).toEqual([]);
  });

  it('XSA-115: @introduceDomain and @releaseDomain are not told to guests', () => {
    const { guests, introduce, die } = setup(1);
    const seen: string[] = [];
    for (const path of ['@introduceDomain', '@releaseDomain']) guests[0]!.watch(path, (at) => seen.push(at));
    seen.length = 0;
    introduce(2);
    die(2);
    expect(seen).toEqual([]);
  });

  it('XSA-322, XSA-417: a new domain does not get what its number was allowed before', () => {
    const { tools, guests, die, introduce } = setup(1, 2);
    guests[0]!.setPermissions('data', [
      { domid: 1, access: 'n' },
      { domid: 2, access: 'b' },
    ]);
    guests[0]!.write('data/secret', 'x');
    die(2);
    const successor = introduce(2);
    expect(codeOf(() => successor.read('/local/domain/1/data/secret'))).toBe('EACCES');
    expect(codeOf(() => successor.write('/local/domain/1/data/x', ''))).toBe('EACCES');
    expect(tools.read('/local/domain/1/data/secret')).toBe('x');
  });

  it('XSA-352, XSA-419: a node is not given to another domain, so that nobody can use up another’s quota', () => {
    const { guests, server } = setup(1, 2);
    guests[0]!.write('data/x', '');
    for (const domid of [2, 0]) {
      const give = () => guests[0]!.setPermissions('data/x', [{ domid, access: 'n' }]);
      expect(codeOf(give)).toBe('EPERM');
    }
    expect(server.check()).toEqual([]);
  });

  it('XSA-353: the root’s permissions are not a guest’s to change, nor is anything that is not its own', () => {
    const { guests } = setup(1, 2);
    for (const path of ['/', '/local', '/local/domain', '/local/domain/1', '/local/domain/2/data', '/tool']) {
      expect(codeOf(() => guests[0]!.setPermissions(path, [{ domid: 1, access: 'b' }]))).toBe('EACCES');
      expect(codeOf(() => guests[0]!.rm(path))).toMatch(/EACCES|EINVAL/);
    }
  });
});

describe('quotas', () => {
  it('XSA-421: a transaction counts what it makes, also when several commit', () => {
    const { server, tools, prepare } = setup();
    prepare(1);
    const guest = server.connect(1, () => {});
    const send = (type: number, transactionId: number, body: string) =>
      guest.feed(encodeMessage({ type, requestId: 1, transactionId, body: toBytes(body) }));
    // Directories of their own, so that no transaction conflicts with another.
    const fill = (id: number, from: number, to: number) => {
      for (let n = from; n < to; n++) send(XS_WRITE, id, `data/${id}-${n % 10}/${n}\0`);
    };
    for (const id of [1, 2, 3]) {
      for (let n = 0; n < 10; n++) send(XS_WRITE, 0, `data/${id}-${n}\0`);
      send(XS_TRANSACTION_START, 0, '\0');
      fill(id, 0, 400);
    }
    for (const id of [1, 2, 3]) send(XS_TRANSACTION_END, id, 'T\0');
    expect(owned(tools, '/local/domain/1/data')).toBeGreaterThan(800);
    expect(owned(tools, '/local/domain/1/data')).toBeLessThan(1000);
    expect(server.check()).toEqual([]);
  });

  it('XSA-440: nodes that went while a transaction removed them too are counted once', () => {
    const { server, guests, tools } = setup(1);
    const guest = guests[0]!;
    for (let n = 0; n < 10; n++) guest.write(`data/${n}`, '');
    codeOf(() =>
      guest.transaction(() => {
        for (let n = 0; n < 10; n++) guest.rm(`data/${n}`);
        tools.rm('/local/domain/1/data');
      }),
    );
    expect(server.check()).toEqual([]);
  });

  it('XSA-415: a node made in a transaction below one that has gone is no orphan', () => {
    const { server, guests, tools } = setup(1);
    const guest = guests[0]!;
    guest.write('data/parent', '');
    const late = () =>
      guest.transaction(() => {
        guest.write('data/parent/child', '');
        tools.rm('/local/domain/1/data/parent');
      });
    expect(codeOf(late)).toBe('EAGAIN');
    expect(codeOf(() => tools.read('/local/domain/1/data/parent/child'))).toBe('ENOENT');
    expect(server.check()).toEqual([]);
  });

  it('XSA-418: a deep tree is removed without depth of the stack, and all of it', () => {
    const { server, guests } = setup(1);
    const guest = guests[0]!;
    const deep = Array.from({ length: 900 }, () => 'x').join('/');
    guest.write(`data/${deep}`, '');
    guest.rm('data/x');
    expect(guest.list('data')).toEqual([]);
    expect(server.check()).toEqual([]);
  });

  it('XSA-323, XSA-324: paths that are too long are refused, also as relative ones and for watches', () => {
    const { server, guests } = setup(1);
    const guest = guests[0]!;
    const seen: string[] = [];
    for (const path of [
      'x'.repeat(2049),
      `/local/domain/1/data/${'x/'.repeat(1100)}y`,
      `/${'x'.repeat(3072)}`,
    ]) {
      expect(codeOf(() => guest.write(path, ''))).toBe('EINVAL');
      expect(codeOf(() => guest.watch(path, (at) => seen.push(at)))).toBe('EINVAL');
    }
    expect([seen, server.check()]).toEqual([[], []]);
  });

  it('XSA-330: watches that are reset and set again leave nothing', () => {
    const { server, guests } = setup(1);
    for (let n = 0; n < 5; n++) {
      const ends = Array.from({ length: 100 }, () => guests[0]!.watch('data', () => {}));
      for (const end of ends) end();
    }
    expect(server.check()).toEqual([]);
  });
});

describe('clients that do not read', () => {
  it('XSA-326, XSA-416: no more requests are taken than answers may wait; watch events do not pile up', () => {
    const { server, tools, prepare } = setup();
    for (const domid of [1, 2]) prepare(domid);
    const message = (type: number, body: string) =>
      encodeMessage({ type, requestId: 1, transactionId: 0, body: toBytes(body) });
    const asking = server.connect(1, { outputReady() {} });
    let taken = 0;
    for (; taken < 1000 && asking.acceptsInput; taken++) asking.feed(message(XS_READ, 'data\0'));
    expect(taken).toBe(server.quotas.outstanding);
    const watching = server.connect(2, { outputReady() {} });
    watching.feed(message(XS_WATCH, 'data\0token\0'));
    // The same event is not queued again, and of others no more than may wait.
    for (let n = 0; n < 5000; n++) tools.write('/local/domain/2/data/x', String(n));
    expect(watching.outputBytes).toBeLessThan(1000);
    for (let n = 0; n < 2000; n++) {
      // Gone again, or the nodes themselves would be more than the domain may have.
      tools.write(`/local/domain/2/data/${'y'.repeat(1900)}${n}`, '');
      tools.rm(`/local/domain/2/data/${'y'.repeat(1900)}${n}`);
    }
    expect(watching.outputBytes).toBeLessThan(server.quotas.memory + 4096);
    expect(server.check()).toEqual([]);
  });

  it('XSA-38: bytes that are no message end the connection, and nothing else', () => {
    const { server, tools, prepare, introduce } = setup();
    prepare(1);
    const broken = server.connect(1, () => {});
    const request = encodeMessage({
      type: XS_WRITE,
      requestId: 1,
      transactionId: 0,
      body: toBytes('data/x\0v'),
    });
    new DataView(request.buffer, request.byteOffset).setUint32(12, 0xffff_ffff, true);
    broken.feed(request);
    broken.feed(new Uint8Array(100).fill(0xff));
    introduce(2).write('data/x', 'fine');
    expect(tools.read('/local/domain/2/data/x')).toBe('fine');
    expect(server.check()).toEqual([]);
  });
});
