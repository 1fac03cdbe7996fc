import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { importsOf } from './parse.mjs';
import { readWorkspace } from './workspace.mjs';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const names = (text: string): string[] => [...text.matchAll(/`([\w-]+)`/g)].map((match) => match[1]!);

/** The table of ARCHITECTURE.md: what each package uses. A row in words (`host`, `apps/xl`) has no list. */
const drawn = new Map<string, string[]>();
const section = readFileSync(`${root}ARCHITECTURE.md`, 'utf8')
  .split('## The packages')[1]!
  .split('\n## ')[0]!;
for (const [, packages, uses] of section.matchAll(/^\| (`.*?) \| (.*) \|$/gm)) {
  if (/all of|the parts/.test(uses!)) continue;
  for (const name of names(packages!)) drawn.set(name, names(uses!.replace(/\(.*?\)/g, '')));
}

/** What the published sources of a package really import of others; `host-interface` is not drawn. */
function used(name: string): string[] {
  const { members } = readWorkspace(root);
  const { files } = members.find(({ directory }) => directory === `packages/${name}`)!;
  const published = files.filter(
    ({ path }) => path.startsWith('src/') && !/\.test\.ts$|(^|\/)testing/.test(path),
  );
  const specifiers = published.flatMap(({ path, text }) =>
    importsOf(path, text).map(({ specifier }) => specifier),
  );
  const own = specifiers.flatMap((specifier) => /^@xenolith\/([^/]+)/.exec(specifier)?.[1] ?? []);
  return [...new Set(own)].filter((other) => other !== 'host-interface' && other !== name).sort();
}

describe('the drawing of packages in ARCHITECTURE.md', () => {
  it('has every package', () => {
    const { members } = readWorkspace(root);
    const packages = members
      .filter(({ kind }) => kind === 'packages')
      .map(({ directory }) => directory.slice(9));
    expect([...drawn.keys(), 'host'].sort()).toEqual(packages.sort());
  });

  it.each([...drawn])('%s uses what is drawn', (name, uses) => {
    expect(used(name)).toEqual([...uses].sort());
  });
});
