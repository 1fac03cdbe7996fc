import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FileDevice } from '../../node/index.js';
import { type ClusterPlan, qcow2Image } from '../../testing/qcow2-image.js';
import { noise } from '../../testing/watched-device.js';
import { Qcow2Device } from './qcow2-device.js';

const directory = mkdtempSync(join(tmpdir(), 'qcow2-'));
afterAll(() => rmSync(directory, { recursive: true }));
const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { cwd: directory, encoding: 'utf8', stdio: 'pipe' });

/** Why QEMU's own tools cannot be asked. In CI they must be there. */
let missing = '';
try {
  run('qemu-img', '--version');
} catch (error) {
  if (process.env.CI === 'true') throw error;
  missing = ': skipped, qemu-img is not here (Debian: apt install qemu-utils)';
}

/** A disk as one reads it: pieces that can be compressed, that cannot, and nothing. */
const SIZE = 3 * 2 ** 20 + 512 * 77;
const contents = new Uint8Array(SIZE);
contents.set(noise(300_000, 1), 70_000);
for (let i = 0; i < 400_000; i++) contents[1_000_000 + i] = i % 11;
contents.set(noise(5000, 2), SIZE - 5000);

const open = async (name: string): Promise<Qcow2Device> =>
  Qcow2Device.open(await FileDevice.open(join(directory, name), { readonly: true, padded: true }), {
    name,
    openBacking: (below, format) =>
      format === 'qcow2' ? open(below) : FileDevice.open(join(directory, below), { readonly: true }),
  });

describe.skipIf(missing !== '')(`beside QEMU${missing}`, () => {
  const create = (name: string, options: string, ...more: string[]): void => {
    writeFileSync(join(directory, 'raw.img'), contents);
    run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', ...more, '-o', options, 'raw.img', name);
  };
  /** Compares what we read with what QEMU reads. */
  const compare = async (name: string): Promise<void> => {
    run('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', name, 'again.img');
    const device = await open(name);
    const expected = readFileSync(join(directory, 'again.img'));
    expect(device.size).toBe(expected.length);
    for (let at = 0; at < device.size; at += 1 << 20) {
      const length = Math.min(1 << 20, device.size - at);
      expect(Buffer.compare(await device.read(at, length), expected.subarray(at, at + length))).toBe(0);
    }
    await device.close();
  };

  it.each([
    ['compat=0.10', []],
    ['compat=1.1', []],
    ['compat=0.10', ['-c']],
    ['compat=1.1', ['-c']],
    ['compression_type=zstd', ['-c']],
    ['compression_type=zstd,cluster_size=2M', ['-c']],
    ['cluster_size=512', ['-c']],
    ['cluster_size=2M', ['-c']],
    ['cluster_size=4k,lazy_refcounts=on', []],
    ['extended_l2=on', ['-c']],
    ['extended_l2=on', []],
    ['refcount_bits=1', []],
    ['refcount_bits=64,cluster_size=1k', []],
    ['preallocation=metadata', []],
    ['preallocation=full', []],
  ])('%s %j', async (options, more) => {
    create('image.qcow2', options, ...more);
    await compare('image.qcow2');
  });

  it('a chain, with what was written, cleared and discarded in it, and a snapshot', async () => {
    create('base.qcow2', 'cluster_size=4k', '-c');
    run('qemu-img', 'create', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', 'middle.qcow2', '4M');
    run(
      'qemu-io',
      '-c',
      'write -P 7 4096 512',
      '-c',
      'write -z 1000k 200k',
      '-c',
      'write -P 9 3500k 1k',
      'middle.qcow2',
    );
    run('qemu-img', 'snapshot', '-c', 'before', 'middle.qcow2');
    run('qemu-io', '-c', 'write -P 8 8192 70000', '-c', 'discard 2M 512k', 'middle.qcow2');
    run(
      'qemu-img',
      'create',
      '-f',
      'qcow2',
      '-b',
      'middle.qcow2',
      '-F',
      'qcow2',
      '-o',
      'extended_l2=on',
      'top.qcow2',
      '5M',
    );
    run(
      'qemu-io',
      '-c',
      'write -P 5 3k 512',
      '-c',
      'write -z 1100k 2k',
      '-c',
      'write -P 6 4999k 1k',
      'top.qcow2',
    );
    for (const name of ['base.qcow2', 'middle.qcow2', 'top.qcow2']) await compare(name);
  });

  it.each([9, 12, 16])(
    'finds nothing wrong with the images of these tests, clusters of 2^%i bytes',
    async (clusterBits) => {
      const size = 2 ** clusterBits;
      const clusters = new Map<number, ClusterPlan>();
      for (let i = 0; i < 200; i++) {
        const bytes = i % 3 === 0 ? noise(size, i) : new Uint8Array(size).fill(i);
        if (i % 3 < 2) clusters.set(i, { kind: i % 3 === 0 ? 'data' : 'packed', bytes });
      }
      writeFileSync(
        join(directory, 'ours.qcow2'),
        qcow2Image({ size: 210 * size, clusterBits, clusters }).bytes,
      );
      expect(run('qemu-img', 'check', '-f', 'qcow2', 'ours.qcow2')).toContain('No errors were found');
      await compare('ours.qcow2');
    },
  );
});
