import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { FileDevice } from './file-device.js';

const directory = mkdtempSync(join(tmpdir(), 'file-device-'));
afterAll(() => rmSync(directory, { recursive: true }));
const image = (bytes: number, name = 'disk.img'): string => {
  const path = join(directory, name);
  writeFileSync(path, new Uint8Array(bytes).fill(0x55));
  return path;
};

describe('a file as a disk', () => {
  it('reads and writes', async () => {
    const path = image(8192);
    const device = await FileDevice.open(path);
    await device.write(512, new Uint8Array(1024).fill(7));
    await device.flush();
    expect((await device.read(0, 2048)).subarray(500, 516)).toEqual(
      Uint8Array.from({ length: 16 }, (_, i) => (i < 12 ? 0x55 : 7)),
    );
    await device.close();
    expect(readFileSync(path)[512]).toBe(7);
  });

  it('has a flush wait for the disk of this machine', async () => {
    const path = image(8192, 'synced.img');
    const handle = await open(path);
    const datasync = vi.spyOn(Object.getPrototypeOf(handle), 'datasync');
    await handle.close();
    const device = await FileDevice.open(path);
    await device.write(0, new Uint8Array(512));
    expect(datasync).not.toHaveBeenCalled();
    await device.flush();
    expect(datasync).toHaveBeenCalledTimes(1);
    datasync.mockRejectedValueOnce(new Error('EIO'));
    await expect(device.flush()).rejects.toThrow('EIO');
    await device.close();
    datasync.mockRestore();
  });

  it('frees what is discarded', async () => {
    const path = image(1 << 20);
    const device = await FileDevice.open(path);
    if (!device.discard) return expect(device.discard).toBeUndefined(); // no fallocate(1) here
    const before = statSync(path).blocks;
    const pieces = Array.from({ length: 64 }, (_, i) => device.discard?.(i * 8192, 8192));
    await Promise.all(pieces);
    expect(statSync(path).blocks).toBeLessThanOrEqual(before / 2 + 8);
    expect((await device.read(0, 512)).every((byte) => byte === 0)).toBe(true);
    expect((await device.read(1 << 19, 512)).every((byte) => byte === 0x55)).toBe(true);
    await device.close();
  });

  it('may be padded with zeros where it is only read', async () => {
    const path = image(700, 'odd.img');
    const device = await FileDevice.open(path, { readonly: true, padded: true });
    expect(device.size).toBe(1024);
    const bytes = await device.read(0, 1024);
    expect([bytes[699], bytes[700], bytes[1023]]).toEqual([0x55, 0, 0]);
    truncateSync(path, 100);
    await expect(device.read(0, 512)).rejects.toThrow('ends at byte 100');
    await device.close();
    await expect(FileDevice.open(path, { padded: true })).rejects.toThrow('has 100 bytes');
  });

  it('may be temporary: nobody else sees it, and it takes only what is written', async () => {
    const before = readdirSync(tmpdir());
    const device = await FileDevice.temporary(2 ** 33);
    expect(
      readdirSync(tmpdir()).filter((name) => name.startsWith('xenolith-disk-') && !before.includes(name)),
    ).toEqual([]);
    await device.write(2 ** 32, new Uint8Array(4096).fill(9));
    expect([(await device.read(2 ** 32, 512))[0], (await device.read(0, 512))[0], device.size]).toEqual([
      9,
      0,
      2 ** 33,
    ]);
    await device.discard?.(2 ** 32, 4096);
    if (device.discard) expect((await device.read(2 ** 32, 512))[0]).toBe(0);
    await device.close();
    await expect(FileDevice.temporary(2 ** 62)).rejects.toThrow('No disk of');
  });

  it('says what is wrong', async () => {
    await expect(FileDevice.open(join(directory, 'none.img'))).rejects.toThrow(
      /none\.img cannot be opened.*ENOENT/,
    );
    await expect(FileDevice.open(directory, { readonly: true })).rejects.toThrow(
      'neither a file nor a block device',
    );
    await expect(FileDevice.open(image(1000, 'odd.img'))).rejects.toThrow('has 1000 bytes');
    const readonly = await FileDevice.open(image(512), { readonly: true });
    await expect(readonly.write(0, new Uint8Array(512))).rejects.toThrow('read-only');
    const path = image(8192, 'short.img');
    const shrunk = await FileDevice.open(path);
    truncateSync(path, 4096);
    await expect(shrunk.read(4096, 512)).rejects.toThrow('ends at byte 4096');
    await shrunk.refreshSize();
    expect(shrunk.size).toBe(4096);
  });
});
