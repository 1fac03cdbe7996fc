import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { disassembly } from './commands/disasm.js';
import { ExitStatus, WORST_FIRST_HELP } from './exit-status.js';
import { createProgram } from './program.js';
import { KEYS_HELP } from './up/keys-help.js';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const own = read('../README.md');
const root = read('../../../README.md');

describe('what the READMEs say of the command', () => {
  it('shows what disasm prints', () => {
    const bytes = Uint8Array.of(0x48, 0x8b, 0x07, 0x0f, 0x05);
    expect(own).toContain(`${disassembly({ bytes, address: 0n }, 32, 64).join('\n')}\n`);
  });

  it('lists every exit status, and no other', () => {
    const statuses = Object.values(ExitStatus);
    for (const text of [own, root]) {
      expect([...text.matchAll(/^\| (\d+) \| /gm)].map((row) => Number(row[1]))).toEqual(statuses);
    }
  });

  it('tells every key of up, and which status counts', () => {
    for (const [, keys] of KEYS_HELP.matchAll(/^ {2}(\S+(?: \S+)*?) {2,}/gm))
      for (const key of keys!.split(' ')) if (key !== '…') expect(own).toContain(`\`${key}\``);
    const order = /came to any of them: ([\d, ]+)\./.exec(WORST_FIRST_HELP)![1]!;
    for (const text of [own, root]) expect(text).toContain(`any of them: ${order}`);
  });

  it('names every command in the root README', () => {
    for (const command of createProgram(() => {}).commands) {
      expect(root).toContain(`\`xenolith ${command.name()}`);
    }
  });
});
