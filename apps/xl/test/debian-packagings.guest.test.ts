import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { unpackKernel } from '@xenolith/domain-builder';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { consoleLines } from './debian-dmesg.js';
import { bootArguments, pieces, reason, runToEnd } from './debian-machine.js';

/** `inspect` in the parts that do not depend on the packaging: from the line `Kernel` on. */
const kernelPart = (report: string): string => report.slice(report.indexOf('\nKernel '));

describe.skipIf(pieces === undefined)(`Packagings of Debian's kernel (${reason ?? 'found'})`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'xenolith-packagings-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const plain = join(directory, 'plain');
  let bzImage: Buffer;
  let elf: Uint8Array;
  let packaged: string;

  beforeAll(async () => {
    bzImage = readFileSync(pieces!.vmlinuz);
    elf = unpackKernel(bzImage).image;
    writeFileSync(plain, elf);
    packaged = (await runToEnd(['inspect', pieces!.vmlinuz])).stdout;
  });

  /** Debian's bzImage around another payload (Documentation/arch/x86/boot.rst: payload_offset, payload_length). */
  function rewrap(payload: Uint8Array): Buffer {
    const offset = (bzImage[0x1f1]! + 1) * 512 + bzImage.readUInt32LE(0x248);
    const image = Buffer.concat([bzImage.subarray(0, offset), payload]);
    image.writeUInt32LE(payload.length, 0x24c);
    return image;
  }

  /** A program's output and after it the length that it unpacks to, as Linux's build appends it. */
  function pack(program: string, ...args: string[]): Buffer {
    const packed = execFileSync(program, [...args, plain], {
      maxBuffer: 256 << 20,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const length = Buffer.alloc(4);
    length.writeUInt32LE(elf.length);
    return Buffer.concat([packed, length]);
  }

  it('as packaged: a bzImage with xz', () => {
    expect(packaged).toMatch(/^Image +bzImage, packed with xz, /);
    expect(kernelPart(packaged)).toMatch(
      /\nKernel +ELF64 for x86-64[\s\S]*\n {2}GUEST_OS +linux\n[\s\S]*\nMapped from /,
    );
  });

  it.each<[name: string, says: RegExp, make: () => Uint8Array]>([
    ['plain ELF', /^Image +ELF, not packed, /, () => elf],
    ['ELF with gzip', /^Image +\S+, packed with gzip, /, () => gzipSync(elf, { level: 1 })],
    ['bzImage with gzip', /^Image +bzImage, packed with gzip, /, () => rewrap(gzipSync(elf, { level: 1 }))],
    [
      'bzImage with zstd',
      /^Image +bzImage, packed with zstd, /,
      () => rewrap(pack('zstd', '-c', '-q', '-3')),
    ],
    ['bzImage with lz4', /^Image +bzImage, packed with lz4, /, () => rewrap(pack('lz4', '-l', '-c'))],
  ])('%s: the same kernel at the same places', async (name, says, make) => {
    const path = join(directory, name.replaceAll(' ', '-'));
    writeFileSync(path, make());
    const { status, stdout, stderr } = await runToEnd(['inspect', path]);
    rmSync(path);
    expect(stderr).toBe('');
    expect(stdout).toMatch(says);
    expect(kernelPart(stdout)).toBe(kernelPart(packaged));
    expect(status).toBe(0);
  });

  it('the plain ELF starts; --timeout stops it with exit status 4', async () => {
    // The console begins only when the kernel reaches its own: earlyprintk shows it from the start.
    const args = bootArguments(
      plain,
      'earlyprintk=xen hold=1 loglevel=8',
      '--clock',
      'real',
      '--timeout',
      '20',
    );
    const { status, stdout, stderr } = await runToEnd(args);
    expect(stdout).toMatch(/Linux version 6\.1\./);
    expect(stdout).toMatch(/Hypervisor detected: Xen PV/);
    expect(stderr).toMatch(/^xenolith: the guest was still running after 20 s \(--timeout\)\n$/);
    expect(status).toBe(4);
  });

  it('the cloud kernel (lz4) boots', async () => {
    const { status, stdout, stderr } = await runToEnd(
      bootArguments(pieces!.cloudVmlinuz, '', '--clock', 'virtual'),
    );
    expect(status, stderr).toBe(0);
    const lines = consoleLines(stdout);
    expect(lines).toEqual(
      expect.arrayContaining(['BOOT-OK', 'HYPERVISOR type=xen guest_type=PV', 'CLOCKSOURCE xen', 'POWEROFF']),
    );
    expect(stdout).toMatch(/Linux version \S+-cloud-amd64 /);
    expect(lines.filter((line) => /WARNING|BUG|Call Trace|Oops|invalid opcode/.test(line))).toEqual([]);
  });
});
