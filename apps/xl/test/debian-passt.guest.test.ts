import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { consoleLines } from './debian-dmesg.js';
import { type Ended, Machine, pieces } from './debian-machine.js';
import { freePort, isListening, outsideRamdisk, reason, serveHttp } from './outside.js';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

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
    const ramdisk = join(directory, 'initrd.gz');
    writeFileSync(ramdisk, outsideRamdisk('outside-init.sh'));
    const forwarded = await freePort();
    const { server, port } = await serveHttp(async ({ url }, response) => {
      if (url === '/data') return void response.end(data);
      const offered = await fetch(`http://127.0.0.1:${forwarded}/data`);
      served.push(sha256(new Uint8Array(await offered.arrayBuffer())));
      response.end(served.length === 1 ? 'reboot' : 'poweroff');
    });
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
