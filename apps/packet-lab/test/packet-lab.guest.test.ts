import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'packet-lab-'));
afterAll(() => rmSync(directory, { recursive: true }));

const run = (to: string) => {
  const args = ['apps/packet-lab/dist/main.js', to];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  expect([stderr, status]).toEqual(['', 0]);
  return stdout;
};
const output = run(directory);

it('prints what its README shows', () => {
  const readme = readFileSync(join(root, 'apps/packet-lab/README.md'), 'utf8');
  const shown = /```\n(from[\s\S]*?)```/.exec(readme)![1];
  expect(output.replaceAll(directory, '/tmp/packet-lab')).toBe(shown);
});

it('writes the same captures each time', () => {
  run(join(directory, 'again'));
  for (const name of ['desk', 'abroad', 'radio'].map((each) => `${each}.pcapng`))
    expect(readFileSync(join(directory, name))).toEqual(readFileSync(join(directory, 'again', name)));
});

const noTshark = process.env.CI !== 'true' && spawnSync('tshark', ['--version']).error !== undefined;

it.skipIf(noTshark)(`agrees with tshark (${noTshark ? 'not installed' : 'found'})`, () => {
  const packets = (name: string, filter: string): number => {
    const file = join(directory, `${name}.pcapng`);
    const args = ['-r', file, '-o', 'ip.check_checksum:TRUE', '-Y', filter];
    const { stdout, status, stderr } = spawnSync('tshark', args, { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    return stdout.split('\n').length - 1;
  };
  const addresses: Record<string, string> = { desk: '10.0.0.1', abroad: '10.0.0.2', radio: '10.0.0.3' };
  const rows = [...output.matchAll(/^(\w+) +(\w+) +\d+ +(\d+) {2}/gm)];
  expect(rows.length).toBe(6);
  for (const [, from, to, answered] of rows) {
    const replies = `icmp.type == 0 && ip.src == ${addresses[to!]} && ip.dst == ${addresses[from!]}`;
    expect(packets(from!, replies)).toBe(Number(answered));
  }
  for (const name of Object.keys(addresses)) {
    expect(packets(name, 'ip.checksum.status == 1 && icmp.checksum.status == 1')).toBeGreaterThan(100);
    expect(packets(name, '_ws.malformed || ip.checksum.status == 0 || icmp.checksum.status == 0')).toBe(0);
  }
});
