#!/usr/bin/env node
// Obtains Debian's pieces and prints their paths: `node tooling/debian/fetch.mjs [--refresh] [PIECE]`.
// With PIECE (vmlinuz, busybox, initrd …) only that path is printed, for use in a shell's $( ).
import { fetchDebianPieces, UnavailableError } from './src/index.mjs';

const refresh = process.argv.includes('--refresh');
const piece = process.argv.slice(2).find((argument) => !argument.startsWith('--'));
try {
  const pieces = fetchDebianPieces({ refresh });
  if (piece === undefined) {
    for (const [name, path] of Object.entries(pieces)) console.log(`${name.padEnd(12)} ${path}`);
  } else if (piece in pieces) {
    console.log(pieces[/** @type {keyof typeof pieces} */ (piece)]);
  } else {
    console.error(`no piece '${piece}': there are ${Object.keys(pieces).join(', ')}`);
    process.exitCode = 2;
  }
} catch (error) {
  if (!(error instanceof UnavailableError)) throw error;
  console.error(`Debian's pieces are not available: ${error.message}`);
  process.exitCode = 1;
}
