import { defineConfig } from 'tsup';

// Bundles the sources of xen-abi too (through the path aliases), so that nothing needs to be built before.
export default defineConfig({
  entry: { main: 'src/main.ts' },
  format: 'esm',
  target: 'node20',
  tsconfig: '../../tsconfig.json',
  noExternal: [/^@xenolith\//],
  clean: true,
});
