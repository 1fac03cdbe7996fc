import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { XenstoreClient, XenstoreServer } from '@xenolith/xenstore';
import { connectSocket, serveSocket } from '@xenolith/xenstore/node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { kernels, xenolith } from './xenolith.js';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-socket-'));
  path = join(directory, 'xenstore');
});
afterEach(() => rmSync(directory, { recursive: true }));

const run = () =>
  xenolith(
    [
      'run',
      kernels.xenstore,
      '--memory',
      '16',
      '--cmdline',
      'wait',
      '--timeout',
      '120',
      '--xenstore-socket',
      path,
    ],
    { input: 'open' },
  );

describe('run --xenstore-socket', () => {
  it('serves the store of a host, and what comes from there reaches a sleeping guest', async () => {
    const running = run();
    await expect.poll(() => existsSync(path), { timeout: 60_000 }).toBe(true);
    const client = new XenstoreClient(await connectSocket(path));
    expect(await client.read('/local/domain/1/name')).toBe('guest');
    await client.write('/local/domain/1/control/shutdown', 'poweroff');
    expect(await running).toEqual({ status: 0, stdout: 'poweroff: as you wish\r\n', stderr: '' });
    expect(existsSync(path)).toBe(false);
  });

  it('is refused while another server answers there', async () => {
    const other = await serveSocket(new XenstoreServer(), path);
    const { status, stderr } = await run();
    expect(status).toBe(2);
    expect(stderr).toMatch(/^xenolith: The xenstore socket: A server answers at .* already[^\n]*\n$/);
    expect(existsSync(path)).toBe(true);
    await other.close();
  });
});
