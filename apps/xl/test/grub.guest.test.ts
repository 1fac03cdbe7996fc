import { stripVTControlCharacters } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { Machine, pieces, reason } from './debian-machine.js';

/** GRUB draws its prompt and what is typed letter by letter, with the cursor's place before and after each. */
const plain = stripVTControlCharacters;
const PROMPT = /grub> /;
/** For loaded machines: GRUB is at its prompt in half a second, and answers at once. */
const SECONDS = 120;

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
      const answer = plain(await grub.expect(PROMPT, SECONDS));
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
});
