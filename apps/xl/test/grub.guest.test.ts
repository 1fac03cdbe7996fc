import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { Machine, pieces, reason } from './debian-machine.js';
import { copyOfRoot, env, reason as noRoot } from './debian-root.js';

/** GRUB draws its prompt and what is typed letter by letter, with the cursor's place before and after each. */
const plain = stripVTControlCharacters;
const PROMPT = /grub> /;
/** For loaded machines: GRUB is at its prompt in half a second, and answers at once. */
const SECONDS = 120;
/** It reads a kernel page by page, one request at a time. */
const BOOT = 400;

describe.skipIf(pieces === undefined)(`GRUB's 64-bit PV image (${reason ?? 'found'})`, () => {
  let machine: Machine | undefined;
  afterEach(() => machine?.kill());

  /** Boots to the prompt; the next call types a command and gives the answer to it. */
  async function atPrompt(...options: string[]): Promise<(command: string) => Promise<string>> {
    const grub = new Machine(['run', pieces!.grub, '--memory', '64', ...options]);
    machine = grub;
    expect(plain(await grub.expect(PROMPT, SECONDS))).toMatch(
      /Welcome to GRUB![\s\S]*GNU GRUB {2}version 2\.06/,
    );
    return async (command) => {
      grub.type(`${command}\r`);
      const answer = plain(await grub.expect(PROMPT, BOOT));
      return answer.slice(answer.indexOf('\n') + 1, answer.lastIndexOf('grub>')).trim();
    };
  }

  it('answers at its prompt; halt powers off', async () => {
    const ask = await atPrompt();
    expect(await ask('echo hello, "world"')).toBe('hello, world');
    expect(await ask('ls')).toBe('(memdisk) (proc)');
    expect(await ask('ls (memdisk)/')).toBe('grub.cfg');
    expect(await ask('nonsense')).toBe("error: can't find command `nonsense'.");
    // It counts down by Xen's time records and the TSC.
    expect(await ask('sleep --verbose 1')).toMatch(/^1 +0$/);
    expect(await ask('echo $grub_cpu-$grub_platform')).toBe('x86_64-xen');
    machine!.type('halt\r');
    const { status, stderr } = await machine!.end();
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it('reboot boots it again, or ends it', async () => {
    await atPrompt();
    machine!.type('reboot\r');
    expect(plain(await machine!.expect(PROMPT, SECONDS))).toContain('Welcome to GRUB!');
    machine!.kill();
    await atPrompt('--on-reboot', 'destroy');
    machine!.type('reboot\r');
    expect((await machine!.end()).status).toBe(5);
  });

  const directory = mkdtempSync(join(tmpdir(), 'grub-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  /** Debian's root file system with a kernel and a ramdisk in it. */
  function bootableDisk(): string {
    const image = copyOfRoot(directory);
    for (const [file, path] of [
      [pieces!.vmlinuz, '/boot/vmlinuz'],
      [pieces!.rootInitrd, '/boot/initrd'],
    ])
      execFileSync('debugfs', ['-w', '-R', `write ${file} ${path}`, image], { env, stdio: 'pipe' });
    return image;
  }

  it.skipIf(noRoot !== undefined)(
    `boots Linux from a disk: one kernel's frontend follows the other's in the same domain (${noRoot ?? 'found'})`,
    async () => {
      const ask = await atPrompt('--memory', '512', '--disk', `${bootableDisk()},raw,xvda,rw`);
      expect(await ask('ls')).toBe('(memdisk) (proc) (xen/xvda)');
      expect(await ask('ls (xen/xvda)/boot')).toBe('vmlinuz initrd');
      const words = 'console=hvc0 root=/dev/xvda rw init=/bin/sh';
      // It draws its progress, and says nothing else if all is well.
      for (const command of [`linux (xen/xvda)/boot/vmlinuz ${words}`, 'initrd (xen/xvda)/boot/initrd'])
        expect((await ask(command)).replace(/\[ \w+ +[\d.]+\w+ +\d+% +[\d.]+\w+\/s \]\s*/g, '')).toBe('');
      machine!.type('boot\r');
      await machine!.expect(/blkfront: xvda: [\s\S]*# $/, BOOT);
      machine!.type('echo $((20 + 22)) > /answer; sync; cat /answer\r');
      await machine!.expect(/\n42\n/, SECONDS);
    },
  );
});
