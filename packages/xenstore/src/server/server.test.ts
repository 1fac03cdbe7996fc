import { describe, expect, it } from 'vitest';
import { LocalXenstore, XenstoreServer } from '../index.js';

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'no error';
};

function setup(domids = [1]) {
  const server = new XenstoreServer();
  const tools = new LocalXenstore(server);
  const guests = domids.map((domid) => {
    tools.mkdir(`/local/domain/${domid}`);
    tools.setPermissions(`/local/domain/${domid}`, [
      { domid: 0, access: 'n' },
      { domid, access: 'r' },
    ]);
    for (const name of ['data', 'control/shutdown']) {
      tools.mkdir(`/local/domain/${domid}/${name}`);
      tools.setPermissions(`/local/domain/${domid}/${name}`, [{ domid, access: 'n' }]);
    }
    return new LocalXenstore(server, domid);
  });
  return { server, tools, guests };
}

describe('nodes', () => {
  it('writes, reads, lists in order of creation, makes parents and removes subtrees', () => {
    const { server, tools } = setup([]);
    tools.write('/a/b/c', 'x');
    tools.write('/a/z', 'y');
    tools.mkdir('/a/d');
    tools.mkdir('/a/b');
    expect(tools.list('/a')).toEqual(['b', 'z', 'd']);
    expect(tools.read('/a/b')).toBe('');
    expect(tools.read('/a/b/c')).toBe('x');
    tools.rm('/a/b');
    expect(tools.list('/a')).toEqual(['z', 'd']);
    expect(codeOf(() => tools.read('/a/b/c'))).toBe('ENOENT');
    tools.rm('/a/b');
    expect(codeOf(() => tools.rm('/x/y'))).toBe('ENOENT');
    expect(codeOf(() => tools.rm('/'))).toBe('EINVAL');
    expect(server.check()).toEqual([]);
  });

  it('begins with /tool/xenstored, closed to guests', () => {
    const { tools, guests } = setup();
    expect(tools.list('/')).toContain('tool');
    expect(tools.list('/tool')).toEqual(['xenstored']);
    expect(tools.getPermissions('/')).toEqual([{ domid: 0, access: 'n' }]);
    expect(codeOf(() => guests[0]!.list('/'))).toBe('EACCES');
  });

  it('refuses malformed paths', () => {
    const { tools } = setup([]);
    for (const path of ['/a/', '//a', '/a b', '/a+b', `/${'x'.repeat(2048)}`, '']) {
      expect(
        codeOf(() => tools.write(path, 'x')),
        path.slice(0, 10),
      ).toBe('EINVAL');
    }
    tools.write(`/${'x'.repeat(2047)}`, 'x');
    tools.write(`/local/domain/1/${'x'.repeat(2048)}`, 'x');
    expect(codeOf(() => tools.read('@releaseDomain'))).toBe('EINVAL');
  });

  it('keeps binary values', () => {
    const { tools } = setup([]);
    tools.write('/a', new Uint8Array([0, 255, 0, 128]));
    expect(tools.read('/a')).toBe('\0\ufffd\0\ufffd');
  });
});

describe('permissions', () => {
  it('relative paths are those of the domain, created nodes its own', () => {
    const { tools, guests } = setup();
    guests[0]!.write('data/x/y', '1');
    expect(tools.read('/local/domain/1/data/x/y')).toBe('1');
    expect(tools.getPermissions('/local/domain/1/data/x/y')).toEqual([{ domid: 1, access: 'n' }]);
  });

  it('a guest cannot write what it may only read, nor see what it may not', () => {
    const { tools, guests } = setup([1, 2]);
    tools.write('/secret/key', 'k');
    const [one, two] = guests as [LocalXenstore, LocalXenstore];
    one.write('data/mine', 'm');
    expect(one.list('/local/domain/1')).toEqual(['data', 'control']);
    expect(codeOf(() => one.write('/local/domain/1/name', 'me'))).toBe('EACCES');
    expect(codeOf(() => one.read('/local/domain/1/missing'))).toBe('ENOENT');
    // Whether it exists is not told.
    expect(codeOf(() => one.read('/secret/key'))).toBe('EACCES');
    expect(codeOf(() => one.read('/secret/none'))).toBe('EACCES');
    expect(codeOf(() => two.read('/local/domain/1/data/mine'))).toBe('EACCES');
    one.setPermissions('data/mine', [
      { domid: 1, access: 'n' },
      { domid: 2, access: 'r' },
    ]);
    expect(two.read('/local/domain/1/data/mine')).toBe('m');
    expect(codeOf(() => two.write('/local/domain/1/data/mine', ''))).toBe('EACCES');
    expect(codeOf(() => two.setPermissions('/local/domain/1/data/mine', [{ domid: 2, access: 'n' }]))).toBe(
      'EACCES',
    );
  });

  it('only domain 0 gives nodes away', () => {
    const { server, tools, guests } = setup([1, 2]);
    guests[0]!.write('data/x', '');
    expect(codeOf(() => guests[0]!.setPermissions('data/x', [{ domid: 2, access: 'n' }]))).toBe('EPERM');
    tools.setPermissions('/local/domain/1/data/x', [{ domid: 2, access: 'n' }]);
    guests[1]!.write('/local/domain/1/data/x', 'theirs');
    expect(server.check()).toEqual([]);
  });

  it('a later domain of the same number does not inherit permissions', () => {
    const { server, tools, guests } = setup();
    tools.write('/shared', 'old');
    tools.setPermissions('/shared', [
      { domid: 0, access: 'n' },
      { domid: 1, access: 'r' },
    ]);
    expect(guests[0]!.read('/shared')).toBe('old');
    guests[0]!.close();
    const second = new LocalXenstore(server, 1);
    expect(codeOf(() => second.read('/shared'))).toBe('EACCES');
    expect(codeOf(() => second.read('data'))).toBe('EACCES');
    expect(tools.list('/local/domain/1')).toEqual(['control']);
    expect(server.check()).toEqual([]);
  });

  it('nor those of a node that was last written when the old domain’s nodes went', () => {
    const { server, tools, guests } = setup();
    tools.setPermissions('/', [
      { domid: 0, access: 'n' },
      { domid: 1, access: 'b' },
    ]);
    guests[0]!.write('/mine', '');
    expect(guests[0]!.list('/')).toContain('mine');
    server.domainDestroyed(1);
    expect(codeOf(() => new LocalXenstore(server, 1).list('/'))).toBe('EACCES');
  });

  it('ignores permissions for domains that do not exist, and gives them no nodes', () => {
    const server = new XenstoreServer({ domainExists: (domid) => domid < 3 });
    const tools = new LocalXenstore(server);
    tools.mkdir('/a');
    expect(codeOf(() => tools.setPermissions('/a', [{ domid: 7, access: 'n' }]))).toBe('ENOENT');
    tools.setPermissions('/a', [
      { domid: 0, access: 'n' },
      { domid: 7, access: 'r' },
    ]);
    expect(codeOf(() => new LocalXenstore(server, 7).read('/a'))).toBe('EACCES');
  });
});

describe('quotas of a guest', () => {
  const server = () => {
    const parts = setup();
    return { ...parts, guest: parts.guests[0]! };
  };

  it('1000 nodes, counting those that it was given', () => {
    const { server: checked, guest, tools } = server();
    let made = 0;
    while (codeOf(() => guest.mkdir(`data/${made % 40}/${made}`)) === 'no error') made++;
    // It was given data and control/shutdown; 40 directories hold what it made.
    expect(made).toBe(1000 - 2 - 40);
    guest.write('data/0/0', 'writing is no creating');
    // Tools have no limits, but what they create here inherits its owner and counts.
    tools.write('/local/domain/1/data/by-tools', '');
    guest.rm('data/1/1');
    expect(codeOf(() => guest.mkdir('data/again'))).toBe('ENOSPC');
    guest.rm('data/2/2');
    guest.mkdir('data/again');
    expect(codeOf(() => guest.mkdir('data/one-more'))).toBe('ENOSPC');
    expect(checked.check()).toEqual([]);
  });

  it('less than 2048 bytes a node', () => {
    const { guest } = server();
    // 24 of header and 8 a permission count, too.
    guest.write('data/x', 'v'.repeat(2047 - 32));
    expect(codeOf(() => guest.write('data/x', 'v'.repeat(2048 - 32)))).toBe('ENOSPC');
    expect(codeOf(() => guest.write('data/y', 'v'.repeat(2048 - 32)))).toBe('ENOSPC');
    expect(guest.list('data')).toEqual(['x']);
  });

  it('watches, transactions, permissions', () => {
    const { guest } = server();
    for (let i = 0; i < 129; i++) guest.watch('data', () => {});
    expect(codeOf(() => guest.watch('data', () => {}))).toBe('E2BIG');
    const access = { domid: 1, access: 'n' } as const;
    guest.setPermissions('data', Array(5).fill(access));
    expect(codeOf(() => guest.setPermissions('data', Array(6).fill(access)))).toBe('ENOSPC');
  });
});

describe('watches', () => {
  it('fire at once, on changes at or below, and for removals above', () => {
    const { tools } = setup([]);
    const log: string[] = [];
    tools.write('/a/b/c', '');
    tools.watch('/a/b', (path) => log.push(path));
    tools.write('/a/b/c', '1');
    tools.write('/a/bb', '1');
    tools.setPermissions('/a/b/c', [{ domid: 0, access: 'r' }]);
    tools.mkdir('/a/b/c');
    tools.rm('/a/b/c');
    tools.rm('/a');
    expect(log).toEqual(['/a/b', '/a/b/c', '/a/b/c', '/a/b/c', '/a/b']);
  });

  it('give relative paths to those who asked so, absolute ones to others', () => {
    const { tools, guests } = setup();
    const log: string[] = [];
    guests[0]!.watch('control/shutdown', (path) => log.push(path));
    guests[0]!.watch('/local/domain/1/control', (path) => log.push(path));
    log.length = 0;
    tools.write('/local/domain/1/control/shutdown', 'poweroff');
    expect(log).toEqual(['control/shutdown', '/local/domain/1/control/shutdown']);
  });

  it('tell a guest nothing of what it may not see', () => {
    const { tools, guests } = setup([1, 2]);
    const log: string[] = [];
    guests[1]!.watch('/', (path) => log.push(path));
    log.length = 0;
    guests[0]!.write('data/x', 'secret');
    tools.write('/vm/1', '');
    expect(log).toEqual([]);
    tools.write('/local/domain/2/control/shutdown', 'halt');
    expect(log).toEqual(['/local/domain/2/control/shutdown']);
  });

  it('a guest that loses a node still hears of it', () => {
    const { tools, guests } = setup();
    const log: string[] = [];
    tools.write('/gift/x', '');
    tools.setPermissions('/gift/x', [
      { domid: 0, access: 'n' },
      { domid: 1, access: 'r' },
    ]);
    guests[0]!.watch('/gift', (path) => log.push(path));
    tools.setPermissions('/gift/x', [{ domid: 0, access: 'n' }]);
    tools.write('/gift/x', 'now unseen');
    expect(log).toEqual(['/gift', '/gift/x']);
  });

  it('end, and are not set twice with one token', () => {
    const { tools } = setup([]);
    const log: string[] = [];
    const unwatch = tools.watch('/a', (path) => log.push(path));
    unwatch();
    tools.write('/a', '');
    expect(log).toEqual(['/a']);
  });

  it('@introduceDomain and @releaseDomain are for domain 0, and for whom it allows', () => {
    const { server, tools, guests } = setup();
    const log: string[] = [];
    tools.watch('@introduceDomain', (path) => log.push(path));
    tools.watch('@releaseDomain', (path) => log.push(path));
    guests[0]!.watch('@releaseDomain', (path) => log.push(`guest ${path}`));
    log.length = 0;
    const third = new LocalXenstore(server, 3);
    server.domainShutdown(3);
    server.domainShutdown(3);
    expect(log).toEqual(['@introduceDomain', '@releaseDomain']);
    expect(codeOf(() => guests[0]!.setPermissions('@releaseDomain', [{ domid: 1, access: 'b' }]))).toBe(
      'EACCES',
    );
    tools.setPermissions('@releaseDomain', [
      { domid: 0, access: 'n' },
      { domid: 1, access: 'r' },
    ]);
    third.close();
    expect(log.slice(2).sort()).toEqual(['@releaseDomain', 'guest @releaseDomain']);
  });
});

describe('domains that go', () => {
  it('take what they own along, with what others put below it', () => {
    const { server, tools, guests } = setup();
    guests[0]!.write('data/x', '1');
    tools.write('/local/domain/1/data/by-tools', '1');
    server.domainDestroyed(1);
    expect(tools.list('/local/domain/1')).toEqual(['control']);
    expect(tools.list('/local/domain/1/control')).toEqual([]);
    expect(server.check()).toEqual([]);
    expect(() => guests[0]!.read('data/x')).toThrow('The connection is closed.');
  });
});
