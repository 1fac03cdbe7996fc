import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { busyboxInitramfs, moduleEntries } from '@xenolith-tooling/debian';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { consoleLines } from './debian-dmesg.js';
import { type Ended, Machine, reason as noKernel, pieces } from './debian-machine.js';

const hasPasst = spawnSync('passt', ['--version']).error === undefined || process.env.CI === 'true';
const reason = noKernel ?? (hasPasst ? undefined : 'passt is not installed');
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A port of the loopback that nobody has. */
async function freePort(): Promise<number> {
  const server = createServer();
  await listen(server);
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const listen = (server: Server): Promise<void> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

/** A guest that fetches a file and offers one, reboots, does it again, and powers off. It reaches the loopback only. */
describe.skipIf(reason !== undefined)(`a Debian guest behind passt (${reason ?? 'found'})`, () => {
  const data = randomBytes(4 << 20);
  const directory = mkdtempSync(join(tmpdir(), 'debian-passt-'));
  const served: string[] = [];
  let ended: Ended;
  let leftover: boolean;
  const lines = (word: string) =>
    consoleLines(ended.stdout)
      .filter((line) => line.startsWith(`${word} `))
      .map((line) => line.slice(word.length + 1));

  beforeAll(async () => {
    const init = readFileSync(new URL('../fixtures/outside-init.sh', import.meta.url));
    const ramdisk = join(directory, 'initrd.gz');
    writeFileSync(
      ramdisk,
      busyboxInitramfs(pieces!.busybox, init, moduleEntries(pieces!.modules, ['xen-netfront'])),
    );
    const forwarded = await freePort();
    const server = createServer(async ({ url }, response) => {
      if (url === '/data') return void response.end(data);
      const offered = await fetch(`http://127.0.0.1:${forwarded}/data`);
      served.push(sha256(new Uint8Array(await offered.arrayBuffer())));
      response.end(served.length === 1 ? 'reboot' : 'poweroff');
    });
    await listen(server);
    const { port } = server.address() as AddressInfo;
    const machine = new Machine([
      ...['run', pieces!.vmlinuz, '--ramdisk', ramdisk, '--memory', '256', '--timeout', '400'],
      ...['--vif', `type=passt,restrict=1,loopback=1,tcp=${forwarded}:80`],
      ...['--cmdline', `console=hvc0 quiet http=${port}`],
    ]);
    try {
      ended = await machine.end();
    } finally {
      machine.kill();
      server.close();
    }
    leftover = await isListening(forwarded);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it('powers off in the end', () => expect([ended.status, ended.stderr], ended.stdout).toEqual([0, '']));

  it('gets an address by DHCP, again after a reboot', () => {
    const lease = '10.0.2.15/24 router 10.0.2.2 dns none';
    expect(lines('LEASE')).toEqual([lease, lease]);
  });

  it('downloads from a server on this machine’s loopback', () => {
    const sum = `${sha256(data)}  -`;
    expect(lines('DOWNLOAD')).toEqual([sum, sum]);
  });

  it('is reached through a forwarded port', () => {
    expect(served).toHaveLength(2);
    expect(lines('OFFER')).toEqual(served.map((sum) => `${sum}  -`));
  });

  it('takes passt along when it goes', () => expect(leftover).toBe(false));
});
