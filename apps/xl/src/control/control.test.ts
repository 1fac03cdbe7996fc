import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { demoKernel } from '@xenolith/guest-kernels';
import { createHost, type DomainInfo, type Host } from '@xenolith/host';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GuestFiles } from '../up/guest-file.js';
import { Guests } from '../up/guests.js';
import { ControlClient } from './client.js';
import type { DiskInfo } from './disk-info.js';
import { type ControlRequest, MAX_LINE } from './protocol.js';
import { ControlServer } from './server.js';
import { knownHosts, socketDirectory, socketOf } from './sockets.js';
import type { VifInfo } from './vif-info.js';

let directory: string;
let host: Host;
let guests: Guests;
const ended: string[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'xl-'));
  vi.stubEnv('XDG_RUNTIME_DIR', directory);
  writeFileSync(join(directory, 'demo.elf'), demoKernel);
  ended.length = 0;
  host = await createHost({ memoryMiB: 32 });
  guests = new Guests({
    host,
    onCreated() {},
    onShutdown() {},
    onEnded: ({ domain }, { reason }) => void ended.push(`${domain.name} ${reason}`),
  });
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true });
});

const config = (name: string) => `name = "${name}"; kernel = "demo.elf"; memory = 8; maxvcpus = 2`;
const create = (name: string) =>
  guests.create(new GuestFiles().parse(config(name), `${name}.cfg`, directory));
const open = (place = {}) => ControlServer.open(guests, new GuestFiles(), place);

/** Resolves when whoever connects next has gone. */
const endOfCable = (server: Server): Promise<unknown> =>
  new Promise((resolve) => server.once('connection', (cable) => cable.resume().once('close', resolve)));

describe('a host on its control socket', () => {
  it('lists, pauses, creates and destroys', async () => {
    const server = await open();
    const [web] = [await create('web'), await create('db')];
    const client = await ControlClient.connect({});
    const list = async () => (await client.request({ do: 'list' })) as DomainInfo[];
    expect((await list()).map(({ name, paused }) => [name, paused])).toEqual([
      ['web', false],
      ['db', false],
    ]);
    await client.request({ do: 'pause', domain: 'db' });
    await client.request({ do: 'pause', domain: '1' });
    expect((await list()).map(({ paused }) => paused)).toEqual([true, true]);
    await client.request({ do: 'unpause', domain: 'web' });
    const domid = web!.domain.domid;
    const control = (node: string) => host.xenstore.local.read(`/local/domain/${domid}/${node}`);
    await client.request({ do: 'shutdown', domain: 'web' });
    expect(control('control/shutdown')).toBe('poweroff');
    await client.request({ do: 'reboot', domain: 'web' });
    expect(control('control/shutdown')).toBe('reboot');
    await client.request({ do: 'vcpu-set', domain: 'web', count: 2 });
    expect(control('cpu/1/availability')).toBe('online');
    await expect(client.request({ do: 'vcpu-set', domain: 'web', count: 9 })).rejects.toThrow(
      '1 to 2 online',
    );
    await client.request({ do: 'mem-set', domain: 'web', mib: 4 });
    expect(control('memory/target')).toBe('4096');
    await expect(client.request({ do: 'mem-set', domain: 'web', mib: 9 })).rejects.toThrow('1 to 8 MiB');
    await client.request({ do: 'destroy', domain: 'web' });
    await expect(client.request({ do: 'destroy', domain: 'web' })).rejects.toThrow(
      'There is no domain "web": there is db (2).',
    );
    const made = { do: 'create', file: 'new.cfg', directory, paused: true } as const;
    expect(await client.request({ ...made, text: config('new') })).toEqual({
      domid: 3,
      name: 'new',
      warnings: [],
    });
    expect((await list())[1]).toMatchObject({ name: 'new', paused: true });
    await expect(client.request({ ...made, text: config('new') })).rejects.toThrow('a domain "new" already');
    const vif = (backend: string) => `${config('last')}; vif = [ "backend=${backend}" ]`;
    await expect(client.request({ ...made, text: vif('router') })).rejects.toThrow(
      'new.cfg: The network interface 0 cannot be had: there is no domain "router" to serve it.',
    );
    await client.request({ ...made, text: vif('db') });
    expect(host.xenstore.local.read('/local/domain/4/device/vif/0/backend-id')).toBe('2');
    await client.request({ do: 'destroy', domain: 'last' });
    await expect(client.request({ ...made, text: 'x' })).rejects.toThrow('new.cfg:1:2: behind "x"');
    await expect(client.request({ ...made, text: 'name = "y"; kernel = "no/such"' })).rejects.toThrow(
      'new.cfg: Cannot read the kernel',
    );
    expect(ended).toEqual(['web destroyed', 'last destroyed']);
    client.close();
    server.close();
    expect(knownHosts()).toEqual([]);
  });

  it('lists, attaches and detaches disks, and changes media', async () => {
    const server = await open();
    await create('web');
    writeFileSync(join(directory, 'a.img'), new Uint8Array(1 << 20));
    const client = await ControlClient.connect({});
    const block = (request: object) => client.request({ domain: 'web', ...request } as ControlRequest);
    const list = async () => (await block({ do: 'block-list' })) as DiskInfo[];
    await block({ do: 'block-attach', disk: 'a.img,raw,xvdb,rw', directory });
    await block({ do: 'block-attach', disk: 'vdev=hdc,cdrom', directory });
    expect(await list()).toEqual([
      {
        vdev: 'xvdb',
        id: 51728,
        backendId: 0,
        target: 'a.img',
        readonly: false,
        size: 1 << 20,
        state: 'initialising',
      },
      { vdev: 'hdc', id: 5632, backendId: 0, target: '', readonly: true, state: 'initialising' },
    ]);
    await block({ do: 'cd-insert', vdev: 'hdc', target: 'a.img', directory });
    expect((await list())[1]).toMatchObject({ target: 'a.img', size: 1 << 20 });
    await block({ do: 'cd-insert', vdev: 'hdc', target: '', directory });
    await block({ do: 'block-detach', vdev: 'xvdb', force: true });
    expect((await list()).map(({ vdev, size }) => [vdev, size])).toEqual([['hdc', undefined]]);
    for (const [disk, problem] of [
      ['none.img,raw,xvdb', 'none.img cannot be opened'],
      ['a.img,qcow,xvdb', 'images of the format qcow'],
      ['a.img,raw,hdc', 'has a disk hdc already'],
      ['a.img,raw,xvdb,rw,backend=store', 'no domain "store"'],
    ]) {
      await expect(block({ do: 'block-attach', disk, directory })).rejects.toThrow(problem);
    }
    client.close();
    server.close();
  });

  it('lists, attaches and detaches network interfaces', async () => {
    const server = await open();
    await create('web');
    const client = await ControlClient.connect({});
    const network = (request: object) => client.request({ domain: 'web', ...request } as ControlRequest);
    const list = async () => (await network({ do: 'network-list' })) as VifInfo[];
    const [mac, other] = ['00:16:3e:00:00:01', '00:16:3e:00:00:02'];
    await network({ do: 'network-attach', vif: `mac=${mac},bridge=lan`, directory });
    const socket = createServer();
    await new Promise<void>((resolve) => socket.listen(join(directory, 'net.sock'), resolve));
    const unplugged = endOfCable(socket);
    await network({ do: 'network-attach', vif: `mac=${other},type=stream,path=net.sock`, directory });
    const nothing = { eventChannel: -1, txRingRef: -1, rxRingRef: -1 };
    const backend = '/local/domain/0/backend/vif/1';
    expect(await list()).toEqual([
      { id: 0, backendId: 0, mac, state: 1, ...nothing, backend: `${backend}/0` },
      { id: 1, backendId: 0, mac: other, state: 1, ...nothing, backend: `${backend}/1` },
    ]);
    await network({ do: 'network-detach', vif: other, force: true });
    await unplugged;
    await network({ do: 'network-detach', vif: '0', force: true });
    expect(await list()).toEqual([]);
    // What a guest was to have that is none is closed again.
    const closed = endOfCable(socket);
    const text = `${config('web')}; vif = [ "type=stream,path=net.sock" ]`;
    const again = client.request({ do: 'create', text, file: 'web.cfg', directory, paused: true });
    await expect(again).rejects.toThrow('a domain "web" already');
    await closed;
    for (const [vif, problem] of [
      ['bridg=lan', 'did you mean "bridge"?'],
      ['backend=router', 'no domain "router"'],
      ['type=stream,path=none.sock', 'none.sock cannot be reached: connect ENOENT'],
      ['type=websocket,url=ws://127.0.0.1:1', 'ws://127.0.0.1:1 cannot be reached: connect ECONNREFUSED'],
    ]) {
      await expect(network({ do: 'network-attach', vif, directory })).rejects.toThrow(problem);
    }
    await expect(network({ do: 'network-detach', vif: '7', force: false })).rejects.toThrow(
      'The guest has no network interface 7.',
    );
    socket.close();
    client.close();
    server.close();
  });

  it('lets another shell type, and shows what was printed before', async () => {
    const server = await open({ hostName: 'mine' });
    const guest = await create('web');
    const run = host.run();
    while (!guest.console.recent.bytes.length) await new Promise((resolve) => setTimeout(resolve, 10));
    const client = await ControlClient.connect({ host: 'mine' });
    let seen = '';
    const end = new Promise((resolve) => {
      client.stream = {
        onOutput: (bytes) => {
          seen += new TextDecoder().decode(bytes);
        },
        onEnd: resolve,
      };
    });
    await client.request({ do: 'console', domain: 'web' });
    client.input(new TextEncoder().encode('poweroff\r'));
    await run;
    expect(await end).toBe('poweroff');
    expect(seen).toMatch(/^Xen .*demo> poweroff\r\n$/s);
    server.close();
  });

  it('survives who sends nonsense, too much, or reads nothing', async () => {
    const server = await open({ socket: join(directory, 's') });
    const guest = await create('web');
    const raw = () => connect(join(directory, 's'));
    const answer = await new Promise<string>((resolve) => {
      const socket = raw();
      socket.write('nonsense\n{"do":\n');
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk;
        if (text.split('\n').length > 2) resolve(text);
      });
    });
    expect(answer).toBe('{"error":"This is no JSON."}\n{"error":"This is no JSON."}\n');
    await new Promise<void>((resolve) => {
      const socket = raw();
      socket.on('error', () => {}).on('close', () => resolve());
      socket.write('x'.repeat(MAX_LINE + 1));
    });
    const lazy = raw();
    lazy.on('error', () => {});
    lazy.write(`${JSON.stringify({ do: 'console', domain: 'web' })}\n`);
    await new Promise((resolve) => lazy.once('data', resolve));
    lazy.pause();
    for (let i = 0; i < 12; i++) guest.console.write(new Uint8Array(1 << 20));
    const client = await ControlClient.connect({ socket: join(directory, 's') });
    expect(await client.request({ do: 'list' })).toHaveLength(1);
    lazy.destroy();
    server.close();
  });
});

describe('which host is meant', () => {
  it('is clear when there is one, and asked for when there are several', async () => {
    await expect(ControlClient.connect({})).rejects.toThrow(
      'No host is running: start one with "xenolith up',
    );
    const one = await open();
    (await ControlClient.connect({})).close();
    const two = await open();
    await expect(ControlClient.connect({})).rejects.toThrow(
      'Several hosts are running: say which with --host (host1, host2).',
    );
    (await ControlClient.connect({ host: 'host2' })).close();
    await expect(ControlClient.connect({ host: 'other' })).rejects.toThrow('No host "other" is running.');
    await expect(ControlClient.connect({ socket: '/no/such' })).rejects.toThrow(
      'No host is listening on /no/such',
    );
    await expect(open({ hostName: 'host1' })).rejects.toThrow('A host "host1" is running already');
    for (const hostName of ['../x', '', 'a b', 'x'.repeat(99)])
      await expect(open({ hostName })).rejects.toThrow('The name of a host');
    await expect(open({ socket: join(directory, 'x'.repeat(200)) })).rejects.toThrow('at most 107 bytes');
    one.close();
    two.close();
  });

  it('a socket that a dead host left is used again; a file that is none is left alone', async () => {
    const path = socketOf('host1');
    const dies = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', dies]);
    expect(existsSync(path)).toBe(true);
    const server = await open();
    expect(server.name).toBe('host1');
    server.close();
    writeFileSync(join(directory, 'file'), 'mine');
    await expect(open({ socket: join(directory, 'file') })).rejects.toThrow();
    expect(existsSync(join(directory, 'file'))).toBe(true);
  });

  it('only this user may get at the sockets', () => {
    chmodSync(socketDirectory(), 0o755);
    expect(() => socketDirectory()).toThrow("is not this user's alone");
  });
});
