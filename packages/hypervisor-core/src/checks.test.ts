import { PAGE_SIZE } from '@xenolith/mmu';
import { FrameType } from '@xenolith/mmu/frames';
import { __HYPERVISOR_xen_version, XENVER_version } from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { destroyDomain } from './domain/destroy.js';
import { type TestHost, testHost } from './testing/test-host.js';

const version = (host: TestHost): number => host.hypercall(__HYPERVISOR_xen_version, XENVER_version, 0);

describe('a strict hypervisor', () => {
  it('finds a frame that was miscounted at the next exit, when its count changed', () => {
    const host = testHost();
    version(host);
    expect(host.domain.stopped).toBe(false);
    const { frames } = host.hv.memory;
    frames.getPageAndType(host.frame(0), host.domain.domid, FrameType.writable);
    for (let i = 0; i < 4; i++) frames.getPageType(host.frame(0), FrameType.writable);
    expect(() => version(host)).toThrow('fewer references than type references');
    expect(host.domain.crashReport?.reason).toContain('internal error');
  });

  it('recounts everything at intervals', () => {
    const host = testHost({ checkInterval: 3 });
    version(host);
    // An entry that the hypervisor did not see: no count changed.
    host.machine.view.setBigUint64(
      host.frame(19) * PAGE_SIZE + 8 * 20,
      (BigInt(host.frame(0)) << 12n) | 3n,
      true,
    );
    version(host);
    expect(() => version(host)).toThrow(/counted 4 references/);
  });

  it('recounts everything when a domain goes', () => {
    const host = testHost({ checkInterval: 0 });
    version(host);
    host.hv.memory.frames.getPage(host.frame(0), host.domain.domid);
    for (let i = 0; i < 10; i++) version(host);
    // The frame is still somebody's, and nobody says whose.
    expect(() => destroyDomain(host.hv, host.domain)).toThrow('Frames are miscounted');
  });

  it('is content with what is right, and otherwise does not look', () => {
    const strict = testHost({ checkInterval: 1 });
    for (let i = 0; i < 5; i++) version(strict);
    expect(destroyDomain(strict.hv, strict.domain)).toBe(true);
    const host = testHost({ strict: false });
    host.hv.memory.frames.getPage(host.frame(0), host.domain.domid);
    version(host);
    expect(host.hv.checks).toBeUndefined();
    expect(host.hv.memory.frames.touched).toBeUndefined();
  });
});
