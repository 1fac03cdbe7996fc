import { BadInputError } from '@xenolith/host-interface';
import { describe, expect, it } from 'vitest';
import { MMU } from './control.js';
import {
  CODE_CACHE,
  CODE_CACHE_SIZE,
  FRAME,
  FRAME_ENTRY_SIZE,
  FRAME_TABLE,
  frameAddress,
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  MachineMemory,
  PAGE_SIZE,
  PCPU_BASE,
  PCPU_SIZE,
  TLB_ENTRIES,
  TLB_ENTRY_SIZE,
  TLB_EXEC,
  TLB_READ,
  TLB_WRITE,
} from './index.js';

describe('MachineMemory', () => {
  it('has at least the frames asked for, whole WebAssembly pages, and the engine’s frames below them', () => {
    for (const guest of [1, 15, 16, 17, 1000]) {
      const m = new MachineMemory(guest);
      expect(m.frames - m.firstFrame).toBeGreaterThanOrEqual(guest);
      expect(m.bytes.length).toBe(m.frames * PAGE_SIZE);
      // The frame table describes the last frame, and ends before the first that a domain may own.
      expect(m.entry(m.frames - 1) + FRAME_ENTRY_SIZE).toBeLessThanOrEqual(frameAddress(m.firstFrame));
    }
  });

  it('knows which frames there are', () => {
    const m = new MachineMemory(16);
    expect([m.firstFrame - 1, m.firstFrame, m.frames - 1, m.frames].map((f) => m.isValidFrame(f))).toEqual([
      false,
      true,
      true,
      false,
    ]);
    m.view.setUint16(m.entry(m.firstFrame) + FRAME.owner, 7, true);
    expect([m.owner(m.firstFrame), m.owner(m.firstFrame + 1)]).toEqual([7, 0]);
  });

  it('shows a frame’s bytes without copying them', () => {
    const m = new MachineMemory(16);
    m.frame(m.firstFrame)[5] = 9;
    expect(m.bytes[frameAddress(m.firstFrame) + 5]).toBe(9);
    expect(m.frame(m.firstFrame)).toHaveLength(PAGE_SIZE);
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 20, Number.POSITIVE_INFINITY])('refuses %s frames', (frames) => {
    expect(() => new MachineMemory(frames)).toThrow(BadInputError);
  });
});

it('the engine’s areas follow each other without overlap', () => {
  const tlb = TLB_ENTRIES * TLB_ENTRY_SIZE;
  const areas = [
    [PCPU_BASE, PCPU_SIZE],
    [TLB_READ, tlb],
    [TLB_WRITE, tlb],
    [TLB_EXEC, tlb],
    [JUMP_CACHE, JUMP_CACHE_ENTRIES * 16],
    [CODE_CACHE, CODE_CACHE_SIZE],
    [FRAME_TABLE, 0],
  ] as const;
  for (let i = 1; i < areas.length; i++) {
    expect(areas[i]![0]).toBeGreaterThanOrEqual(areas[i - 1]![0] + areas[i - 1]![1]);
  }
  expect(Math.max(...Object.values(MMU)) + 128).toBeLessThanOrEqual(PCPU_BASE + PCPU_SIZE);
  expect(FRAME_TABLE % PAGE_SIZE).toBe(0);
});
