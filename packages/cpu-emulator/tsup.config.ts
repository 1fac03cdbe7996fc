import type { Plugin } from 'esbuild';
import { defineConfig } from 'tsup';

/**
 * The published package ships the interpreter's bytes: the module that would write them at run time is replaced by one
 * that holds what it wrote now.
 */
const shipInterpreter: Plugin = {
  name: 'ship-interpreter',
  setup(build) {
    build.onLoad({ filter: /[/\\]interpreter-bytes\.ts$/ }, async () => {
      const { build: bundle } = await import('esbuild');
      const { outputFiles } = await bundle({
        entryPoints: ['src/x86/interpreter-bytes.ts'],
        bundle: true,
        format: 'esm',
        platform: 'neutral',
        mainFields: ['module', 'main'],
        conditions: ['import'],
        write: false,
      });
      const source = Buffer.from(outputFiles[0]!.text).toString('base64');
      const { interpreterBytes, shippedNumbering } = await import(`data:text/javascript;base64,${source}`);
      const base64 = Buffer.from(interpreterBytes()).toString('base64');
      return {
        contents: `const base64 = '${base64}';
          export const shippedNumbering = () => JSON.parse('${JSON.stringify(shippedNumbering())}');
          export const interpreterBytes = () => {
            if (typeof Buffer !== 'undefined') return Buffer.from(base64, 'base64');
            const text = atob(base64);
            return Uint8Array.from(text, (c) => c.charCodeAt(0));
          };`,
        loader: 'js',
      };
    });
  },
};

export default defineConfig({
  entry: { index: 'src/index.ts' },
  format: 'esm',
  target: 'es2022',
  dts: true,
  clean: true,
  sourcemap: true,
  esbuildPlugins: [shipInterpreter],
});
