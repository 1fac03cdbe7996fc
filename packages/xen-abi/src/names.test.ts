import { describe, expect, it } from 'vitest';
import {
  EAGAIN,
  errnoName,
  GNTST_bad_page,
  GNTST_no_space,
  grantStatusName,
  hypercallNames,
  ringSlots,
} from './index.js';

describe('errnoName', () => {
  it('takes an errno as it is or negated', () => {
    expect(errnoName(22)).toBe('EINVAL');
    expect(errnoName(-22)).toBe('EINVAL');
    expect(errnoName(EAGAIN)).toBe('EAGAIN');
    expect(errnoName(200)).toBe('errno 200');
  });
});

describe('hypercallNames', () => {
  it('names every public number', () => {
    expect(hypercallNames[1]).toBe('mmu_update');
    expect(hypercallNames[42]).toBe('hypfs_op');
    expect(hypercallNames[48]).toBe('mca');
    expect(hypercallNames[11]).toBeUndefined();
  });
});

describe('ringSlots', () => {
  it('rounds down to a power of two', () => {
    expect(ringSlots(4096, 112)).toBe(32); // blkif requests on x86_64
    expect(ringSlots(4096, 12)).toBe(256); // netif transmit
    expect(ringSlots(4096, 8)).toBe(256); // netif receive
    expect(ringSlots(64, 8)).toBe(0);
  });
});

describe('grantStatusName', () => {
  it('names every status', () => {
    expect(grantStatusName(0)).toBe('GNTST_okay');
    expect(grantStatusName(GNTST_bad_page)).toBe('GNTST_bad_page');
    expect(grantStatusName(GNTST_no_space)).toBe('GNTST_no_space');
    expect(grantStatusName(-99)).toBe('grant status -99');
  });
});
