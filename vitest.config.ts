import { defineConfig } from 'vitest/config';

// Tests run on the sources: `@xenolith/x` is packages/x/src/index.ts and `@xenolith/x/y` is packages/x/src/y/index.ts.
const packages = new URL('./packages/', import.meta.url).pathname;
const alias = [
  { find: /^@xenolith\/([^/]+)$/, replacement: `${packages}$1/src/index.ts` },
  { find: /^@xenolith\/([^/]+)\/([^/]+)$/, replacement: `${packages}$1/src/$2/index.ts` },
];

const everyTest = '{packages,apps,tooling}/*/{src,test}/**/*.test.ts';
const guestTest = '{packages,apps,tooling}/*/{src,test}/**/*.guest.test.ts';

export default defineConfig({
  test: {
    passWithNoTests: false,
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: [everyTest],
          exclude: [guestTest],
          testTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Boots of whole guests: after the unit tests, so that a broken part shows as itself first.
        resolve: { alias },
        test: {
          name: 'guest',
          include: [guestTest],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
