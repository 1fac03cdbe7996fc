import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { program } from './program.js';

const fixture = fileURLToPath(
  new URL('../../../packages/xen-abi/fixtures/layout-x86_64.json', import.meta.url),
);
const dir = mkdtempSync(join(tmpdir(), 'abi-fixture-'));
try {
  const source = join(dir, 'probe.c');
  const binary = join(dir, 'probe');
  writeFileSync(source, program());
  execFileSync('gcc', ['-std=gnu99', '-w', '-m64', '-o', binary, source], { stdio: 'inherit' });
  writeFileSync(fixture, execFileSync(binary));
  console.log(`wrote ${fixture}`);
} finally {
  rmSync(dir, { recursive: true });
}
