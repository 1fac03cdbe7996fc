import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Abi, x86_32, x86_64 } from '@xenolith/xen-abi';
import { type Fixture, program, section } from './program.js';

const fixtures = fileURLToPath(new URL('../../../packages/xen-abi/fixtures', import.meta.url));

/** Only compiles, for the numbers are constants: so no 32-bit C library is needed, and a cross compiler will do. */
function measure(abi: Abi, dir: string): Fixture {
  const { source, read } = program(abi);
  const file = (extension: string) => join(dir, `${abi.name}.${extension}`);
  writeFileSync(file('c'), source);
  const flags = ['-std=gnu99', '-ffreestanding', '-w', `-m${abi.wordSize * 8}`];
  execFileSync('gcc', [...flags, '-c', '-o', file('o'), file('c')], { stdio: 'inherit' });
  execFileSync('objcopy', ['-O', 'binary', `--only-section=${section}`, file('o'), file('bin')]);
  const table = readFileSync(file('bin'));
  return read(new DataView(table.buffer, table.byteOffset, table.length));
}

/** JSON with one layout or constant a line, so that a change is easy to see. */
function format(fixture: Fixture): string {
  const parts = Object.entries(fixture).map(([part, entries]: [string, Record<string, unknown>]) => {
    const lines = Object.entries(entries).map(([name, value]) => `  "${name}": ${JSON.stringify(value)}`);
    return ` "${part}": {\n${lines.join(',\n')}\n }`;
  });
  return `{\n${parts.join(',\n')}\n}\n`;
}

const dir = mkdtempSync(join(tmpdir(), 'abi-fixture-'));
try {
  for (const abi of [x86_64, x86_32]) {
    const path = join(fixtures, `layout-${abi.name}.json`);
    writeFileSync(path, format(measure(abi, dir)));
    console.log(`wrote ${path}`);
  }
} finally {
  rmSync(dir, { recursive: true });
}
