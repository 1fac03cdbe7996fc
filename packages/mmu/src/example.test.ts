import { readFileSync } from 'node:fs';
import { ModuleBuilder } from '@xenolith/wasm-builder';
import { expect, test } from 'vitest';
import { ACCESS, emitMmu, MachineMemory, MMU } from './index.js';

// biome-ignore format: as in the README
async function example() {
const machine = new MachineMemory(16);
const m = new ModuleBuilder();
m.importMemory('env', 'memory', 1, 65536);
const foreign = m.importFunction('env', 'foreign', ['i32', 'i32'], ['i32']);
const codeWritten = m.importFunction('env', 'codeWritten', ['i32', 'i32'], []);
const watched = m.importFunction('env', 'watched', ['i64', 'i32', 'i32'], []);
m.export('walk', emitMmu(m, { foreign, codeWritten, watched }).walk);
const env = { memory: machine.memory, foreign: () => 0, codeWritten() {}, watched() {} };
const { instance } = await WebAssembly.instantiate(m.toBytes(), { env });
const walk = instance.exports.walk as (linear: bigint, access: number) => number;

// Four tables that map linear address 0x5000 to a fifth frame, read-only and for users.
const frames = [0, 1, 2, 3, 4].map((i) => machine.firstFrame + i);
const link = (table: number, slot: number, to: number, flags: bigint) =>
  machine.view.setBigUint64(table * 4096 + slot * 8, BigInt(to * 4096) | flags, true);
for (let i = 0; i < 3; i++) link(frames[i], 0, frames[i + 1], 7n);
link(frames[3], 5, frames[4], 5n);
machine.view.setUint32(MMU.root, frames[0] * 4096, true);
machine.view.setUint32(MMU.frames, machine.frames, true);
machine.view.setUint32(MMU.user, 1, true);
const read = walk(0x5123n, ACCESS.read); // frames[4] * 4096 + 0x123
const write = walk(0x5123n, ACCESS.write); // 0: a fault
const code = machine.view.getInt32(MMU.faultCode, true); // 7: present, write, user
return { read: read - frames[4] * 4096, write, code };
}

test('the README’s example of a walk does what it says', async () => {
  expect(await example()).toEqual({ read: 0x123, write: 0, code: 7 });
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const block = /## Walks[\s\S]*?```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  expect(block).toBeDefined();
  expect(readFileSync(new URL(import.meta.url), 'utf8')).toContain(block);
});
