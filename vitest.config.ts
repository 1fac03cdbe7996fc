import { defineConfig } from 'vitest/config';

// Tests run on the sources: `@xenolith/x` is packages/x/src/index.ts and `@xenolith/x/y` is packages/x/src/y/index.ts.
const packages = new URL('./packages/', import.meta.url).pathname;
export default defineConfig({
  resolve: {
    alias: [
      { find: /^@xenolith\/([^/]+)$/, replacement: `${packages}$1/src/index.ts` },
      { find: /^@xenolith\/([^/]+)\/([^/]+)$/, replacement: `${packages}$1/src/$2/index.ts` },
    ],
  },
  test: { include: ['{packages,apps,tooling}/*/{src,test}/**/*.test.ts'], passWithNoTests: false },
});
