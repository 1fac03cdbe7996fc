import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHost } from '@xenolith/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openVif } from './vifs.js';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'vifs-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('a capture of an interface', () => {
  it('goes to a file, beside those of others that name the same', async () => {
    const host = await createHost({ memoryMiB: 16, clock: 'virtual' });
    const [first, second, other] = [
      await openVif({ capture: 'a.pcapng' }, host, directory),
      await openVif({ capture: join(directory, 'a.pcapng'), mtu: 9000 }, host, '/'),
      await openVif({ capture: 'b.pcapng' }, host, directory),
    ];
    expect(first.capture).toBe(second.capture);
    expect(first.capture).not.toBe(other.capture);
    first.capture!.tap({ send() {}, connect() {} }, 'vif1.0');
    expect(readFileSync(join(directory, 'a.pcapng')).includes('vif1.0')).toBe(true);
    expect(existsSync(join(directory, 'b.pcapng'))).toBe(true);
  });

  it('is refused where the file cannot be written', async () => {
    const host = await createHost({ memoryMiB: 16, clock: 'virtual' });
    const opening = openVif({ capture: 'no/such/folder' }, host, directory);
    await expect(opening).rejects.toThrow(/^The capture .*no\/such\/folder cannot be written: ENOENT/);
  });
});
