import { defineConfig } from 'tsup';

// Everything in one place, so that the command starts with few files to open; what a command does not need stays in a
// chunk of its own.
export default defineConfig({
  entry: { cli: 'src/cli.ts' },
  format: 'esm',
  target: 'node20',
  platform: 'node',
  noExternal: [/./],
  splitting: true,
  // Commander is CommonJS and requires Node's modules.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
  },
  clean: true,
});
