import { describe, expect, it } from 'vitest';
import { checkWorkspace } from './check.mjs';

type Options = {
  kind?: 'packages' | 'apps' | 'tooling';
  dependencies?: string[];
  devDependencies?: string[];
  entries?: string[];
};

const versions = (names: string[] = []) => Object.fromEntries(names.map((name) => [name, 'workspace:^']));

/** A member of a sample workspace; `files` maps a path to its text. */
function member(name: string, files: Record<string, string>, options: Options = {}) {
  const { kind = 'packages', dependencies, devDependencies, entries = [] } = options;
  return {
    kind,
    directory: `${kind}/${name}`,
    manifest: {
      name: `@xenolith/${name}`,
      dependencies: versions(dependencies),
      devDependencies: versions(devDependencies),
      exports: Object.fromEntries(['.', ...entries].map((entry) => [entry, {}])),
    },
    files: Object.entries(files).map(([path, text]) => ({ path, text })),
  };
}

const abi = member('xen-abi', { 'src/index.ts': 'export const EPERM = 1;' }, { entries: ['./codec'] });

function check(...members: ReturnType<typeof member>[]) {
  const rootManifest = { name: 'root', devDependencies: { vitest: '4' } };
  return checkWorkspace({ rootManifest, members });
}

describe('what is allowed', () => {
  it('an arrow of the design, declared, through an exported entry', () => {
    const text = "import { EPERM } from '@xenolith/xen-abi';\nexport * from '@xenolith/xen-abi/codec';";
    expect(
      check(abi, member('xenstore', { 'src/index.ts': text }, { dependencies: ['@xenolith/xen-abi'] })),
    ).toEqual([]);
  });

  it('Node built-ins in src/node, in tests, in apps and in configuration', () => {
    const text = "import { readFileSync } from 'node:fs';";
    expect(
      check(
        member('xen-abi', {
          'src/node/index.ts': text,
          'src/a.test.ts': text,
          'test/b.test.ts': text,
          'tsup.config.ts': text,
        }),
        member('xl', { 'src/cli.ts': text }, { kind: 'apps' }),
      ),
    ).toEqual([]);
  });

  it('in tests, tools of the root and packages against the arrows, if declared', () => {
    const text = "import { it } from 'vitest';\nimport '@xenolith/xen-abi';";
    const files = { 'src/index.test.ts': text };
    expect(check(abi, member('wasm-builder', files, { devDependencies: ['@xenolith/xen-abi'] }))).toEqual([]);
  });

  it('types that refer to each other', () => {
    const a = "import type { B } from './b.js';\nexport type A = B;";
    const b = "import { type A } from './a.js';\nexport type B = A;";
    expect(check(member('xen-abi', { 'src/a.ts': a, 'src/b.ts': b }))).toEqual([]);
  });
});

describe('what is found', () => {
  it('an import against the arrows, even of types', () => {
    const text = "import type { Logger } from '@xenolith/host-interface';";
    const user = member('xenstore', { 'src/index.ts': text }, { dependencies: ['@xenolith/host-interface'] });
    const problems = check(member('host-interface', {}), user);
    expect(problems).toEqual([
      expect.stringContaining('packages/xenstore/package.json: depends on @xenolith/host-interface'),
      expect.stringContaining('packages/xenstore/src/index.ts:1:'),
    ]);
  });

  it('a dependency against the arrows that nothing imports', () => {
    expect(check(abi, member('wasm-builder', {}, { dependencies: ['@xenolith/xen-abi'] }))).toHaveLength(1);
  });

  it('a protocol package with any other dependency', () => {
    expect(check(member('shared-ring', {}, { dependencies: ['left-pad'] }))).toEqual([
      expect.stringContaining('needs nothing beyond xen-abi'),
    ]);
  });

  it('a codec that reaches beyond xen-abi and its own folder', () => {
    const files = {
      'src/codec/index.ts': "import '../ring.js';\nimport '@xenolith/shared-ring';",
      'src/ring.ts': "import '@xenolith/shared-ring';",
    };
    const problems = check(
      member('shared-ring', {}),
      member('blkback', files, { dependencies: ['@xenolith/shared-ring'] }),
    );
    expect(problems).toHaveLength(2);
    for (const problem of problems) expect(problem).toContain('a codec must be usable alone');
  });

  it('an entry that the design closes to this package', () => {
    const problems = check(
      member('mmu', {}, { entries: ['./frames'] }),
      member(
        'cpu-emulator',
        { 'src/a.ts': "import '@xenolith/mmu/frames';" },
        { dependencies: ['@xenolith/mmu'] },
      ),
    );
    expect(problems).toEqual([expect.stringContaining('must not use @xenolith/mmu/frames')]);
  });

  it.each([
    "import 'node:fs';",
    "import 'fs';",
    "await import('node:fs');",
    "require('node:fs');",
    "type S = import('node:fs').Stats;",
  ])('a Node built-in in core code: %s', (text) => {
    expect(check(member('xen-abi', { 'src/index.ts': text }))).toEqual([
      expect.stringContaining('Node built-in'),
    ]);
  });

  it('core code that imports src/node of its own package or a /node entry of another', () => {
    expect(
      check(
        member('xen-abi', { 'src/index.ts': "export * from './node/index.js';", 'src/node/index.ts': '' }),
      ),
    ).toEqual([expect.stringContaining('Node-only part')]);
    const user = member(
      'xenstore',
      { 'src/index.ts': "import '@xenolith/xen-abi/node';" },
      { dependencies: ['@xenolith/xen-abi'] },
    );
    expect(check(member('xen-abi', {}, { entries: ['./node'] }), user)).toEqual([
      expect.stringContaining('Node-only part'),
    ]);
  });

  it.each([
    ['an undeclared package', "import '@xenolith/xen-abi';", 'not in the dependencies'],
    ['an undeclared outside package', "import 'left-pad';", 'not in the dependencies'],
    ['a tool of the root in core code', "import 'vitest';", 'not in the dependencies'],
    ['a way out of the package', "import '../../xen-abi/src/index.js';", 'leaves its package'],
    ['a package that is not there', "import '@xenolith/gone';", 'no arrow'],
  ])('%s', (_what, text, message) => {
    const problems = check(abi, member('xenstore', { 'src/index.ts': text }));
    expect(problems).toEqual([expect.stringContaining(message)]);
  });

  it("another package's inside", () => {
    const text = "import '@xenolith/xen-abi/src/index.js';";
    expect(
      check(abi, member('xenstore', { 'src/index.ts': text }, { dependencies: ['@xenolith/xen-abi'] })),
    ).toEqual([expect.stringContaining("does not export './src/index.js'")]);
  });

  it('a cycle of packages, also through development dependencies', () => {
    const problems = check(
      member('xen-abi', {}, { devDependencies: ['@xenolith/xenstore'] }),
      member('xenstore', {}, { dependencies: ['@xenolith/xen-abi'] }),
    );
    expect(problems).toEqual([
      'packages depend on each other: @xenolith/xen-abi → @xenolith/xenstore → @xenolith/xen-abi',
    ]);
  });

  it('a cycle of files', () => {
    const files = {
      'src/a.ts': "import './b.js';",
      'src/b.ts': "export * from './c.js';",
      'src/c.ts': "import './a.js';",
    };
    expect(check(member('xen-abi', files))).toEqual([
      'packages/xen-abi: files import each other: src/a.ts → src/b.ts → src/c.ts → src/a.ts',
    ]);
  });

  it('a package that the design does not know', () => {
    expect(check(member('surprise', {}))).toEqual([expect.stringContaining('does not list surprise')]);
  });
});
