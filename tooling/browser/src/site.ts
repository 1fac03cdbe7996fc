import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript' };
const HTML =
  '<!doctype html><meta charset="utf-8"><title>Xenolith</title><script type="module" src="page.js"></script>';

/**
 * The page and its worker as files by name. Packages are found as anybody's bundler finds them, by the `exports` of their
 * package.json: what runs is their built `dist`.
 */
export async function buildSite(): Promise<Map<string, Uint8Array>> {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const { metafile, outputFiles } = await build({
    absWorkingDir: here,
    entryPoints: ['page.ts', 'worker.ts'],
    outdir: here,
    bundle: true,
    metafile: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    // The tsconfig.json of the repository leads to the packages' sources.
    tsconfigRaw: {},
    logLevel: 'silent',
  }).catch((error: Error) => {
    throw new Error(`${error.message}\nAre the packages built? \`npm run build\` does it.`);
  });
  const source = Object.keys(metafile.inputs).find((file) => /\/packages\/[^/]+\/src\//.test(file));
  if (source) throw new Error(`The page would run ${source}, which is not a package as it is built.`);
  const files = new Map<string, Uint8Array>([['/index.html', new TextEncoder().encode(HTML)]]);
  for (const { path, contents } of outputFiles) files.set(`/${path.slice(here.length)}`, contents);
  return files;
}

export interface Site {
  url: string;
  /** Ranges of files that were asked for: `PATH FROM-TO`. */
  ranges: string[];
  close(): void;
}

/** Serves files on the loopback interface: static, with no header but their type, and ranges of them. */
export async function serve(files: ReadonlyMap<string, Uint8Array>): Promise<Site> {
  const ranges: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url === '/' ? '/index.html' : (request.url ?? '');
    const file = files.get(path);
    const type = { 'content-type': TYPES[extname(path)] ?? 'text/plain' };
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    if (file && range) {
      const [from, to] = [Number(range[1]), Math.min(Number(range[2]), file.length - 1)];
      ranges.push(`${path} ${from}-${to}`);
      response.writeHead(206, { ...type, 'content-range': `bytes ${from}-${to}/${file.length}` });
      response.end(file.subarray(from, to + 1));
      return;
    }
    response.writeHead(file ? 200 : 404, type);
    response.end(file ?? 'not here');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, ranges, close: () => server.close() };
}
