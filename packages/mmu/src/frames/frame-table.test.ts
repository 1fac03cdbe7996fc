import { InvariantError } from '@xenolith/host-interface';
import { DOMID_INVALID, DOMID_XEN, EINVAL } from '@xenolith/xen-abi';
import { beforeEach, describe, expect, test } from 'vitest';
import { FRAME_FLAG_PUBLIC, PAGE_SIZE } from '../layout.js';
import { MachineMemory } from '../machine-memory.js';
import { FrameTable, FrameType, M2p } from './index.js';

const D1 = 1;
let machine: MachineMemory;
let frames: FrameTable;
let freed: number[];
let forgotten: number[];
let full: number;
beforeEach(() => {
  machine = new MachineMemory(128);
  frames = new FrameTable(machine);
  freed = [];
  forgotten = [];
  full = 0;
  frames.hooks = {
    forgetWrites: (mfn) => forgotten.push(mfn),
    forgetAll: () => {
      full++;
      frames.noteFullFlush();
    },
    codeWritten: () => undefined,
    freed: (mfn) => freed.push(mfn),
  };
});

describe('allocation', () => {
  test('gives the lowest free frames first, to the domain that asks', () => {
    const first = frames.allocate(D1);
    expect(first).toBe(machine.firstFrame);
    expect(frames.allocate(D1)).toBe(first + 1);
    frames.dropAllocation(first);
    expect(frames.owner(first)).toBe(DOMID_INVALID);
    expect(frames.allocate(2)).toBe(first);
    expect(machine.owner(first)).toBe(2);
  });

  test('gives aligned runs, and says −1 when there is none', () => {
    frames.allocate(D1);
    const run = frames.allocateRun(D1, 4);
    expect(run % 16).toBe(0);
    for (let i = 0; i < 16; i++) expect(frames.owner(run + i)).toBe(D1);
    expect(frames.allocateRun(D1, 9)).toBe(-1);
    expect(frames.allocate(D1, machine.firstFrame)).toBe(-1);
  });

  test('ends with −1 when all is used', () => {
    const free = frames.freeFrames;
    for (let i = 0; i < free; i++) expect(frames.allocate(D1)).toBeGreaterThan(0);
    expect(frames.allocate(D1)).toBe(-1);
  });

  test('never shows old contents', () => {
    const mfn = frames.allocate(D1);
    machine.frame(mfn).fill(0x5a);
    frames.dropAllocation(mfn);
    frames.allocate(2);
    expect(machine.frame(mfn).every((byte) => byte === 0)).toBe(true);
  });

  test('the engine’s frames belong to the hypervisor and cannot be taken', () => {
    expect(frames.owner(0)).toBe(DOMID_XEN);
    expect(frames.getPage(0, D1)).toBe(false);
    expect(frames.getPage(machine.frames, D1)).toBe(false);
    expect(frames.getPage(2 ** 40, D1)).toBe(false);
  });
});

describe('references', () => {
  test('keep a frame until the last goes', () => {
    const mfn = frames.allocate(D1);
    expect(frames.getPage(mfn, 2)).toBe(false);
    expect(frames.getPage(mfn, D1)).toBe(true);
    expect(frames.dropAllocation(mfn)).toBe(true);
    expect(frames.dropAllocation(mfn)).toBe(false);
    expect(frames.owner(mfn)).toBe(D1);
    expect(freed).toEqual([]);
    frames.putPage(mfn);
    expect(freed).toEqual([mfn]);
    expect(() => frames.putPage(mfn)).toThrow(InvariantError);
  });

  test('of different types exclude each other', () => {
    const mfn = frames.allocate(D1);
    expect(frames.getPageAndType(mfn, D1, FrameType.writable)).toBe(0);
    expect(frames.getPageType(mfn, FrameType.l1)).toBe(-EINVAL);
    frames.putPageAndType(mfn);
    expect(() => frames.putPageType(mfn)).toThrow(InvariantError);
  });

  test('a type is given only if the validator agrees, and is undone by it', () => {
    const log: string[] = [];
    let answer = -EINVAL;
    frames.validator = {
      promote: (mfn, type) => {
        log.push(`promote ${type}`);
        // Nobody else can use the frame meanwhile, not even as the same type.
        expect(frames.getPageType(mfn, type)).toBe(-EINVAL);
        return answer;
      },
      demote: (_mfn, type) => log.push(`demote ${type}`),
    };
    const mfn = frames.allocate(D1);
    expect(frames.getPageAndType(mfn, D1, FrameType.l2)).toBe(-EINVAL);
    expect(frames.references(mfn)).toBe(1);
    expect(frames.type(mfn)).toBe(FrameType.none);
    answer = 0;
    expect(frames.getPageAndType(mfn, D1, FrameType.l2)).toBe(0);
    expect(frames.getPageAndType(mfn, D1, FrameType.l2)).toBe(0);
    frames.putPageAndType(mfn);
    expect(frames.isUsedAs(mfn, FrameType.l2)).toBe(true);
    frames.putPageAndType(mfn);
    expect(frames.isUsedAs(mfn, FrameType.l2)).toBe(false);
    expect(log).toEqual(['promote 2', 'promote 2', 'demote 2']);
  });

  test('a frame cannot be freed with type references', () => {
    const mfn = frames.allocate(D1);
    frames.getPageType(mfn, FrameType.writable);
    expect(() => frames.dropAllocation(mfn)).toThrow(InvariantError);
  });
});

describe('flush stamps', () => {
  const use = (mfn: number, type: FrameType): void => {
    expect(frames.getPageAndType(mfn, D1, type)).toBe(0);
  };
  beforeEach(() => {
    frames.validator = { promote: () => 0, demote: () => undefined };
  });

  test('write entries are forgotten when a writable frame becomes a table, unless a full flush came between', () => {
    const mfn = frames.allocate(D1);
    use(mfn, FrameType.l1);
    expect(forgotten).toEqual([]);
    frames.putPageAndType(mfn);
    use(mfn, FrameType.writable);
    frames.putPageAndType(mfn);
    use(mfn, FrameType.l1);
    expect(forgotten).toEqual([mfn]);
    frames.putPageAndType(mfn);
    use(mfn, FrameType.writable);
    frames.putPageAndType(mfn);
    frames.noteFullFlush();
    use(mfn, FrameType.l1);
    expect(forgotten).toEqual([mfn]);
  });

  test('all is forgotten before a freed frame is given out again, once for many', () => {
    const taken = [frames.allocate(D1), frames.allocate(D1), frames.allocate(D1)];
    expect(full).toBe(0);
    for (const mfn of taken) frames.dropAllocation(mfn);
    for (const _ of taken) frames.allocate(2);
    expect(full).toBe(1);
  });
});

describe('hypervisor memory', () => {
  test('can be lent to a domain and comes back', () => {
    const mfn = frames.allocateXen();
    frames.shareXen(mfn, D1);
    expect(frames.owner(mfn)).toBe(D1);
    expect(frames.getPageAndType(mfn, D1, FrameType.writable)).toBe(0);
    expect(frames.getPageType(mfn, FrameType.l1)).toBe(-EINVAL);
    expect(frames.freeXen(mfn)).toBe(false);
    expect(frames.steal(mfn, D1)).toBe(false);
    frames.putPageAndType(mfn);
    frames.dropAllocation(mfn);
    expect(frames.owner(mfn)).toBe(DOMID_XEN);
    expect(freed).toEqual([]);
    expect(frames.freeXen(mfn)).toBe(true);
    expect(frames.owner(mfn)).toBe(DOMID_INVALID);
  });
});

describe('stealing', () => {
  test('takes frames that only the allocation holds', () => {
    const mfn = frames.allocate(D1);
    expect(frames.steal(mfn, 2)).toBe(false);
    frames.getPage(mfn, D1);
    expect(frames.steal(mfn, D1)).toBe(false);
    frames.putPage(mfn);
    expect(frames.steal(mfn, D1)).toBe(true);
    expect(frames.getPage(mfn, D1)).toBe(false);
    frames.reassign(mfn, D1);
    expect(frames.getPage(mfn, D1)).toBe(true);
    frames.putPage(mfn);
    frames.steal(mfn, D1);
    frames.discard(mfn);
    expect(frames.allocate(2)).toBe(mfn);
    expect(() => frames.discard(mfn)).toThrow(InvariantError);
  });
});

describe('the M2P', () => {
  /** Follows present entries from the L3 table down to a frame's bytes, as a walk would. */
  const read = (m2p: M2p, index: number): { value: bigint; frame: number; isWritable: boolean } => {
    const offset = BigInt(index) * 8n;
    let table = m2p.l3;
    let isWritable = true;
    for (const shift of [30n, 21n, 12n]) {
      const entry = machine.view.getBigUint64(
        table * PAGE_SIZE + Number((offset >> shift) & 0x1ffn) * 8,
        true,
      );
      expect(entry & 0x5n).toBe(0x5n);
      isWritable &&= (entry & 2n) !== 0n;
      table = Number((entry >> 12n) & 0xf_ffffn);
    }
    const value = machine.view.getBigUint64(table * PAGE_SIZE + Number(offset & 0xfffn), true);
    return { value, frame: table, isWritable };
  };

  test('is readable for any index of its range, never writable, in public frames', () => {
    const m2p = new M2p(frames);
    const mfn = frames.allocate(D1);
    const none = 0xffff_ffff_ffff_ffffn;
    expect(m2p.get(mfn)).toBe(none);
    m2p.set(mfn, 0x1234, 1);
    expect(read(m2p, mfn).value).toBe(0x1_0000_1234n);
    for (const index of [0, machine.frames, 2 ** 18, 2 ** 27 - 1, 2 ** 27, 2 ** 35 - 1]) {
      const { value, frame, isWritable } = read(m2p, index);
      expect(value).toBe(none);
      expect(isWritable).toBe(false);
      expect(frames.owner(frame)).toBe(DOMID_XEN);
      expect(frames.flags(frame) & FRAME_FLAG_PUBLIC).toBe(FRAME_FLAG_PUBLIC);
    }
    expect(frames.flags(m2p.l3) & FRAME_FLAG_PUBLIC).toBe(0);
    m2p.clear(mfn);
    expect(m2p.get(mfn)).toBe(none);
  });
});
