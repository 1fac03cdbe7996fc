import { readFileSync } from 'node:fs';
import { EINVAL } from '@xenolith/xen-abi';
import { expect, test } from 'vitest';
import { MachineMemory } from '../machine-memory.js';
import { FrameTable, FrameType } from './index.js';

// biome-ignore format: as in the README
function example(): { refused: number; accepted: number; references: number } {
const machine = new MachineMemory(64);
const frames = new FrameTable(machine);
const guest = 1;
const mfn = frames.allocate(guest);

// Two mappings, one of them writable: the frame cannot become a page table now.
frames.getPage(mfn, guest);
frames.getPageAndType(mfn, guest, FrameType.writable);
const refused = frames.getPageType(mfn, FrameType.l1); // −EINVAL

frames.putPageAndType(mfn);
frames.validator = { promote: () => 0, demote: () => undefined };
const accepted = frames.getPageType(mfn, FrameType.l1); // 0
return { refused, accepted, references: frames.references(mfn) };
}

test('the README’s example of frames does what it says', () => {
  expect(example()).toEqual({ refused: -EINVAL, accepted: 0, references: 2 });
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const block = /## Frames[\s\S]*?```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  expect(block).toBeDefined();
  expect(readFileSync(new URL(import.meta.url), 'utf8')).toContain(block);
});
