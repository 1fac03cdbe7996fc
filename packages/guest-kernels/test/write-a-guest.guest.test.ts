import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const minimal = fileURLToPath(new URL('../examples/minimal/', import.meta.url));
const heading = '## Write a guest';

/** The section, from its heading to the next of its level. */
function sectionOf(file: string): string | undefined {
  const from = readFileSync(file, 'utf8').split(`${heading}\n`)[1];
  return from && `${heading}\n${from.split(/^## /m)[0]!.trim()}\n`;
}

const section = sectionOf(join(minimal, 'README.md'))!;
const blocks = new Map(
  [...section.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => [language, text]),
);
const block = (language: string): string => blocks.get(language) ?? '';

function missing(): string | undefined {
  for (const tool of ['clang', 'ld.lld']) {
    if (spawnSync(tool, ['--version']).status !== 0) return `${tool} is not installed`;
  }
  return undefined;
}
const reason = process.env.CI === 'true' ? undefined : missing();

describe('"Write a guest" of the README', () => {
  it('is the same in the root README, and shows the files of the example', () => {
    expect(sectionOf(join(root, 'README.md'))).toBe(section);
    expect(block('c')).toBe(readFileSync(join(minimal, 'hello.c'), 'utf8'));
    expect(block('asm')).toBe(readFileSync(join(minimal, 'start.S'), 'utf8'));
  });

  it.skipIf(reason !== undefined)(`works when followed literally (${reason ?? 'clang found'})`, () => {
    // A directory of the clone, as the text has it.
    mkdirSync(join(root, '.cache'), { recursive: true });
    const directory = mkdtempSync(join(root, '.cache/my-guest-'));
    try {
      writeFileSync(join(directory, 'hello.c'), block('c'));
      writeFileSync(join(directory, 'start.S'), block('asm'));
      const script = `set -e\n${block('sh')}`;
      const output = execFileSync('sh', ['-c', script], {
        cwd: directory,
        encoding: 'utf8',
        timeout: 300_000,
      });
      expect(output.replaceAll('\r', '')).toBe(block(''));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
