import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const program = join(root, 'apps/native-guest/dist/main.js');
const directory = mkdtempSync(join(tmpdir(), 'native-guest-'));
afterAll(() => rmSync(directory, { recursive: true }));

const run = (input: string, ...args: string[]) => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [program, ...args], {
    cwd: directory,
    encoding: 'utf8',
    input,
    timeout: 60_000,
  });
  return { lines: stdout.replaceAll('\r', '').split('\n'), stderr, status };
};

it('works as its README shows', () => {
  const readme = readFileSync(join(root, 'apps/native-guest/README.md'), 'utf8');
  const [, commands, shown] = /```sh\n([\s\S]*?)```\n\n```\n([\s\S]*?)```/.exec(readme)!;
  const script = commands!.replace(/^npm .*$/m, '').replace('apps/native-guest/dist/main.js', program);
  const shell = spawnSync('sh', ['-ec', script], { cwd: directory, encoding: 'utf8', timeout: 60_000 });
  const same = (text: string) => text.replaceAll('\r', '').replace(/in [\d.]+ ms/, 'in N ms');
  expect([shell.stderr, same(shell.stdout), shell.status]).toEqual(['', same(shown!), 0]);
});

it('says what is wrong, and goes on', () => {
  const { lines, stderr, status } = run('frob\ncat nothing\nwrite\nping 1.2.3\nip\npoweroff\nls\n');
  expect([stderr, status]).toEqual(['', 0]);
  expect(lines.slice(1)).toEqual([
    '$ frob',
    'frob: no such command',
    '$ cat nothing',
    'cat: there is no nothing',
    '$ write',
    'write: write FILE TEXT',
    '$ ping 1.2.3',
    'ping: "1.2.3" is no address.',
    '$ ip',
    '10.0.0.1 00:16:3e:00:00:01',
    '$ poweroff',
    '',
  ]);
});

it('fills its disk up to the end, and keeps what is there', () => {
  writeFileSync(join(directory, 'small.img'), new Uint8Array(32 * 512));
  const { lines } = run(`${`write note ${'x'.repeat(2000)}\n`.repeat(12)}ls\ncat note\n`, 'small.img');
  expect(lines.filter((each) => each === 'write: the disk is full').length).toBe(6);
  expect(lines).toContain('2001\tnote');
  expect(lines).toContain('x'.repeat(2000));
});

it('takes more input than its console keeps', () => {
  const { lines, status } = run(`${'ip\n'.repeat(30_000)}poweroff\n`);
  expect([lines.filter((each) => each === '$ ip').length, status]).toEqual([30_000, 0]);
});
