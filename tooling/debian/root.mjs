#!/usr/bin/env node
// Makes the image of a Debian root file system, unless it is there already, and prints its path; with COPY it is copied
// there, to be booted and written to: `node tooling/debian/root.mjs [COPY]`.
import { execFileSync } from 'node:child_process';
import { fetchDebianRoot, UnavailableError } from './src/index.mjs';

const copy = process.argv[2];
try {
  const image = fetchDebianRoot();
  if (copy !== undefined) execFileSync('cp', ['--sparse=always', image, copy], { stdio: 'inherit' });
  console.log(copy ?? image);
} catch (error) {
  if (!(error instanceof UnavailableError)) throw error;
  console.error(`A Debian root file system is not available: ${error.message}`);
  process.exitCode = 1;
}
