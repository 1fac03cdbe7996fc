import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { XenstoreClient } from '@xenolith/xenstore';
import { connectSocket } from '@xenolith/xenstore/node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const program = join(root, 'apps/xenstore-server/dist/main.js');
const noTools = process.env.CI !== 'true' && spawnSync('xenstore-ls', ['--help']).error !== undefined;

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenstore-server-'));
  path = join(directory, 'socket');
});
afterEach(() => rmSync(directory, { recursive: true }));

function start(...args: string[]) {
  const child = spawn(process.execPath, [program, ...args], {
    env: { ...process.env, XENSTORED_PATH: path },
  });
  const run = { child, output: '', errors: '', status: Promise.resolve<number | null>(null) };
  child.stdout.on('data', (chunk: Buffer) => {
    run.output += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    run.errors += chunk;
  });
  run.status = new Promise((resolve) => child.on('close', resolve));
  return run;
}

const serving = async (run: ReturnType<typeof start>) => {
  await expect.poll(() => run.output, { timeout: 30_000 }).toBe(`xenstore is served on ${path}\n`);
  return run;
};

describe('xenstore-server', () => {
  it('serves the socket of the environment, until it is told to stop', async () => {
    const run = await serving(start('--set', '/a/b=c=d', '--quota', 'nodes=7', '--trace'));
    const client = new XenstoreClient(await connectSocket(path));
    expect(await client.read('/a/b')).toBe('c=d');
    expect(await client.control('quota')).toContain('nodes            :        7 ');
    client.close();
    run.child.kill('SIGTERM');
    expect(await run.status).toBe(0);
    expect(run.errors).toContain('0 > READ 1/0 /a/b\n0 < READ 1/0 c=d\n');
    expect(existsSync(path)).toBe(false);
  });

  it('takes the place of one that was killed, but not of one that answers', async () => {
    const killed = await serving(start());
    const second = start();
    expect(await second.status).toBe(1);
    expect(second.errors).toBe(
      `xenstore-server: A server answers at ${path} already; stop it, or choose another path.\n`,
    );
    killed.child.kill('SIGKILL');
    await killed.status;
    expect(existsSync(path)).toBe(true);
    const third = await serving(start());
    third.child.kill('SIGINT');
    expect(await third.status).toBe(0);
  });

  it('says what is wrong with its arguments', async () => {
    for (const [args, text] of [
      [['--quota', 'noodles=1'], 'There is no quota noodles.'],
      [['--quota', 'nodes=0'], 'The quota nodes should be a number above 0.'],
      [['--set', 'x'], 'x is not of the form NAME=VALUE.'],
      [['a', 'b'], 'There is only one socket.'],
    ] as const) {
      const run = start(...args);
      expect(await run.status).toBe(1);
      expect(run.errors).toBe(`xenstore-server: ${text}\n`);
    }
  });

  it.skipIf(noTools)(`works as its README shows (${noTools ? 'no xenstore-utils' : 'tools found'})`, () => {
    const readme = readFileSync(join(root, 'apps/xenstore-server/README.md'), 'utf8');
    const [, commands, shown] = /```sh\n([\s\S]*?)```\n\n```\n([\s\S]*?)```/.exec(readme)!;
    const lines = commands!
      .replaceAll('/tmp/xenstore', path)
      .split('\n')
      .filter((line) => !line.startsWith('npm '));
    const waiting = lines.map((line) =>
      line.endsWith('&') ? `${line}\nserver=$!\nwhile ! [ -S ${path} ]; do sleep 0.1; done` : line,
    );
    const script = [...waiting, 'kill $server', 'wait'].join('\n');
    const output = execFileSync('sh', ['-ec', script], { cwd: root, encoding: 'utf8', timeout: 60_000 });
    expect(output.replaceAll(path, '/tmp/xenstore')).toBe(shown);
  });
});
