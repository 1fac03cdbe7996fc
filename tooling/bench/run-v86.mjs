// Runs the multiboot benchmark program on v86: node run-v86.mjs PROGRAM.ELF V86-DIRECTORY
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [program, directory] = /** @type {[string, string]} */ (process.argv.slice(2));
const { V86 } = await import(pathToFileURL(join(directory, 'build/libv86.mjs')).href);
const file = readFileSync(program);
const emulator = new V86({
  wasm_path: join(directory, 'build/v86.wasm'),
  multiboot: { buffer: file.buffer.slice(file.byteOffset, file.byteOffset + file.length) },
  autostart: true,
});
let line = '';
emulator.add_listener('serial0-output-byte', (/** @type {number} */ byte) => {
  line += String.fromCharCode(byte);
  if (byte !== 10) return;
  process.stdout.write(line);
  if (line === 'done\n') process.exit(0);
  line = '';
});
