import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { pieces, reason, runToEnd } from './debian-machine.js';

const directory = mkdtempSync(join(tmpdir(), 'xenolith-input-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function file(name: string, contents: Uint8Array | string): string {
  const path = join(directory, name);
  writeFileSync(path, contents);
  return path;
}

describe.skipIf(pieces === undefined)(
  `Input that cannot be used (${reason ?? "Debian's kernel found"})`,
  () => {
    const vmlinuz = pieces?.vmlinuz ?? '';
    const initrd = pieces?.initrd ?? '';
    const kernel = pieces ? readFileSync(vmlinuz) : new Uint8Array();
    const large = pieces ? file('large', new Uint8Array(600 << 20)) : '';
    const damaged = Uint8Array.from(kernel);
    damaged.fill(0x55, 4_000_000, 4_100_000);

    it.each<[what: string, args: string[], says: RegExp]>([
      ['a truncated kernel', [file('short', kernel.subarray(0, 100_000))], /truncated or damaged/],
      ['a kernel of one sector', [file('sector', kernel.subarray(0, 512))], /truncated|neither/],
      ['a damaged kernel', [file('damaged', damaged)], /damaged|corrupt/],
      ['an empty file', [file('empty', '')], /empty|neither an ELF image nor a bzImage/],
      ['a text', [file('text', 'Hello\n')], /neither an ELF image nor a bzImage/],
      ['a program for Linux', [pieces?.busybox ?? ''], /Xen/],
      ['a ramdisk as the kernel', [initrd], /kernel/],
      ['no such kernel', [join(directory, 'none')], /none: there is no such file/],
      ['a directory', [directory], /it is a directory/],
      ['a device', ['/dev/zero'], /it is no file/],
      [
        'no such ramdisk',
        [vmlinuz, '--ramdisk', join(directory, 'none')],
        /ramdisk .*none: there is no such file/,
      ],
      [
        'too little memory',
        [vmlinuz, '--ramdisk', initrd, '--memory', '64'],
        /at least \d+ MiB .* has 64 MiB/,
      ],
      ['a ramdisk that does not fit', [vmlinuz, '--ramdisk', large, '--memory', '512'], /at least \d+ MiB/],
      ['an absurd memory', [vmlinuz, '--memory', '999999'], /--memory.*999999/],
      ['no memory', [vmlinuz, '--memory', '0'], /--memory.*'0'/],
      ['memory that is no number', [vmlinuz, '--memory', '1e3'], /--memory.*'1e3'/],
      ['too many vCPUs', [vmlinuz, '--vcpus', '4096'], /--vcpus.*4096/],
      ['an unknown clock', [vmlinuz, '--clock', 'cuckoo'], /--clock.*cuckoo/],
      ['an unknown option', [vmlinuz, '--ramdisc', initrd], /--ramdisc.*Did you mean --ramdisk\?/],
      ['no kernel', ['--memory', '64'], /missing required argument 'kernel'/],
    ])('%s: one clear line and exit status 2', async (_, args, says) => {
      const { status, stdout, stderr } = await runToEnd(['run', ...args]);
      expect(stderr).toMatch(/^xenolith: [^\n]{10,300}\n$/);
      expect(stderr).toMatch(says);
      expect(stdout).toBe('');
      expect(status).toBe(2);
    });

    // The superuser may read everything.
    it.skipIf(process.getuid?.() === 0)('a file without permission', async () => {
      const secret = file('secret', kernel);
      chmodSync(secret, 0);
      const { status, stderr } = await runToEnd(['run', secret]);
      expect(stderr).toMatch(/^xenolith: [^\n]*secret: permission denied\.\n$/);
      expect(status).toBe(2);
    });
  },
);
