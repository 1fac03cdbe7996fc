import type { GrantMapping } from '@xenolith/guest-api';
import { GNTST_okay } from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { createHost } from './host.js';
import { createNativeGuest } from './native-guest.js';

async function setUp() {
  const host = await createHost({ memoryMiB: 4, clock: 'virtual', strict: true });
  const { hypervisor: hv } = host;
  const granter = createNativeGuest(hv, { domid: 7 });
  const mapper = createNativeGuest(hv, { domid: 8 });
  return { host, hv, granter, mapper };
}

describe('native guests', () => {
  it('one grants a page, the other maps, reads and writes it', async () => {
    const { granter, mapper, hv } = await setUp();
    const free = hv.memory.frames.freeFrames;
    const page = granter.memory.allocate()!;
    page.writeU32(8, 1234);
    const ref = granter.grants.grantAccess(8, page);
    const mapping = mapper.grants.map(7, ref) as GrantMapping;
    expect(mapping.readU32(8)).toBe(1234);
    mapping.write(0, Uint8Array.of(5, 6));
    expect([...page.read(0, 2)]).toEqual([5, 6]);
    expect(granter.grants.endAccess(ref)).toBe(false);
    mapper.grants.unmap(mapping);
    expect(granter.grants.endAccess(ref)).toBe(true);
    expect(mapper.grants.map(7, ref)).toBeLessThan(0);
    granter.memory.free(page);
    expect(() => page.readU8(0)).toThrow('given back');
    hv.checks?.everything();
    expect(hv.memory.frames.freeFrames).toBe(free);
  });

  it('copies between its own page and a read-only grant', async () => {
    const { granter, mapper } = await setUp();
    const page = granter.memory.allocate()!;
    page.write(100, new TextEncoder().encode('xenolith'));
    const ref = granter.grants.grantAccess(8, page, { readonly: true });
    const own = mapper.memory.allocate()!;
    const status = mapper.grants.copy({
      source: { domid: 7, ref, offset: 100 },
      destination: { gfn: own.gfn, offset: 0 },
      length: 8,
    });
    expect(status).toBe(GNTST_okay);
    expect(new TextDecoder().decode(own.read(0, 8))).toBe('xenolith');
    expect(mapper.grants.map(7, ref)).toBeLessThan(0);
    expect(mapper.grants.map(7, ref, { readonly: true })).toMatchObject({ readonly: true });
  });

  it('has more refs than one frame of the table holds, and uses ended ones again', async () => {
    const { granter, mapper } = await setUp();
    const page = granter.memory.allocate()!;
    const refs = Array.from({ length: 1000 }, () => granter.grants.grantAccess(8, page));
    expect(new Set(refs).size).toBe(1000);
    expect(Math.min(...refs)).toBe(8);
    expect(mapper.grants.map(7, refs[999]!)).toMatchObject({ live: true });
    granter.grants.endAccess(refs[3]!);
    expect(granter.grants.grantAccess(8, page)).toBe(refs[3]);
  });

  it('time: timers fire between guest instructions, answers come when they are due', async () => {
    const { granter, hv } = await setUp();
    const log: string[] = [];
    granter.clock.after(2000, () => log.push(`timer ${granter.clock.now()}`));
    const cancel = granter.clock.after(1000, () => log.push('cancelled'));
    cancel();
    granter.clock.completion(Promise.resolve(5), 1000, () => log.push(`answer ${granter.clock.now()}`));
    // No guest runs, so time jumps to the next timer: that of the answer.
    hv.clock.advance(999);
    await Promise.resolve();
    hv.run(1);
    expect(log).toEqual([]);
    hv.clock.advance(2000);
    await new Promise((resolve) => setImmediate(resolve));
    hv.run(1);
    expect(log).toEqual(['answer 3000', 'timer 3000']);
  });
});
