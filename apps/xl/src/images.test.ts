import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDiskSpec } from '@xenolith/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { diskWarnings } from './disks.js';
import { openImage } from './images.js';

const outer = mkdtempSync(join(tmpdir(), 'images-'));
const directory = join(outer, 'images');
mkdirSync(directory);
afterAll(() => rmSync(outer, { recursive: true }));
const path = (name: string): string => join(directory, name);

/** Why there are no images. In CI there must be. */
let missing = '';
const qemuImg = (...args: string[]): string =>
  execFileSync('qemu-img', args, { cwd: directory, encoding: 'utf8', stdio: 'pipe' });
try {
  qemuImg('--version');
} catch (error) {
  if (process.env.CI === 'true') throw error;
  missing = ': skipped, qemu-img is not here (Debian: apt install qemu-utils)';
}

/** An image with something below it, which need not exist. */
const over = (name: string, below: string, format?: string): string => {
  const size = ['-o', 'compat=0.10', name, '64k'];
  qemuImg('create', '-q', '-f', 'qcow2', '-u', '-b', below, '-F', format ?? 'raw', ...size);
  if (format === undefined) {
    // No recent qemu-img leaves the format out.
    const bytes = readFileSync(path(name));
    bytes.writeUInt32BE(0, 72);
    writeFileSync(path(name), bytes);
  }
  return path(name);
};

describe.skipIf(missing !== '')(`images${missing}`, () => {
  let server: Server;
  let address: string;
  beforeAll(async () => {
    writeFileSync(path('base.img'), new Uint8Array(65536).fill(7));
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-c', 'base.img', 'base.qcow2');
    writeFileSync(join(outer, 'secret.img'), new Uint8Array(65536).fill(9));
    server = createServer((request, response) => {
      const file = readFileSync(join(outer, request.url!));
      const [from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range!)!.slice(1).map(Number) as [
        number,
        number,
      ];
      response.writeHead(206, {
        'content-range': `bytes ${from}-${Math.min(to, file.length - 1)}/${file.length}`,
      });
      response.end(file.subarray(from, to + 1));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/images/`;
  });
  afterAll(() => server.close());

  it('of qcow2 can be read, and written to without being changed', async () => {
    const before = readFileSync(path('base.qcow2'));
    const read = await openImage(path('base.qcow2'), 'qcow2', true);
    expect([read.size, read.readonly, (await read.read(512, 512))[0]]).toEqual([65536, true, 7]);
    await read.close?.();
    const written = await openImage(path('base.qcow2'), 'qcow2', false);
    expect(written.readonly).toBe(false);
    await written.write(512, new Uint8Array(512).fill(1));
    await written.flush();
    const bytes = await written.read(0, 1536);
    expect([bytes[0], bytes[512], bytes[1024]]).toEqual([7, 1, 7]);
    await written.close?.();
    expect(readFileSync(path('base.qcow2'))).toEqual(before);
  });

  it('may be behind HTTP, and may be below each other', async () => {
    over('top.qcow2', 'middle.qcow2', 'qcow2');
    over('middle.qcow2', './base.img', 'raw');
    for (const place of [path('top.qcow2'), `${address}top.qcow2`]) {
      const image = await openImage(place, 'qcow2', false);
      expect((await image.read(4096, 512))[0]).toBe(7);
      await image.close?.();
    }
    const raw = await openImage(`${address}base.img`, 'raw', false);
    await raw.write(0, new Uint8Array(512));
    expect([(await raw.read(0, 512))[0], (await raw.read(512, 512))[0]]).toEqual([0, 7]);
    await raw.close?.();
  });

  it('cannot reach what lies elsewhere', async () => {
    symlinkSync('../secret.img', path('link.img'));
    for (const [name, below] of [
      ['a.qcow2', '../secret.img'],
      ['b.qcow2', join(outer, 'secret.img')],
      ['c.qcow2', 'link.img'],
      ['d.qcow2', 'nbd://127.0.0.1/x'],
      ['e.qcow2', 'json:{"driver":"raw"}'],
    ] as const) {
      await expect(openImage(over(name, below), 'qcow2', true)).rejects.toThrow();
      await expect(openImage(over(name, below, 'raw'), 'qcow2', true)).rejects.toThrow(
        "not in the image's own directory",
      );
    }
    over('f.qcow2', '/secret.img', 'raw');
    over('g.qcow2', 'http://127.0.0.1:1/base.img', 'raw');
    for (const name of ['a.qcow2', 'f.qcow2', 'g.qcow2']) {
      await expect(openImage(address + name, 'qcow2', true)).rejects.toThrow(
        "not in the image's own directory",
      );
    }
  });

  it('are refused with a reason', async () => {
    await expect(openImage(over('h.qcow2', 'base.img'), 'qcow2', true)).rejects.toThrow('of what format');
    await expect(openImage(over('i.qcow2', 'base.img', 'vmdk'), 'qcow2', true)).rejects.toThrow(
      'of the format vmdk',
    );
    await expect(openImage(over('j.qcow2', 'none.img', 'raw'), 'qcow2', true)).rejects.toThrow('ENOENT');
    over('l.qcow2', 'k.qcow2', 'qcow2');
    await expect(openImage(over('k.qcow2', 'l.qcow2', 'qcow2'), 'qcow2', true)).rejects.toThrow(
      'more than 16 images',
    );
    await expect(openImage(path('base.img'), 'qcow2', false)).rejects.toThrow('is no qcow2 image');
    copyFileSync(path('base.qcow2'), path('cut.qcow2'));
    writeFileSync(path('cut.qcow2'), readFileSync(path('base.qcow2')).subarray(0, 100_000));
    await expect(openImage(path('cut.qcow2'), 'qcow2', false)).rejects.toThrow('beyond its end');
  });
});

it('a person is told what becomes of what the guest writes', () => {
  const warnings = (disk: string): string => diskWarnings(parseDiskSpec(disk)).join();
  for (const disk of [
    'a.img,raw,xvda,rw',
    'a.qcow2,qcow2,xvda,ro',
    'http://x/a.img,raw,xvda,ro',
    'http://x/a,raw,xvda,rw,backend=store',
  ]) {
    expect(warnings(disk)).toBe('');
  }
  for (const disk of ['a.qcow2,qcow2,xvda', 'http://x/a.img,raw,xvda']) {
    expect(warnings(disk)).toMatch(/^xvda: nothing is written to .* gone when it ends/);
  }
});
