import { DOMID_SELF, EBUSY, EINVAL, ENOSPC, EPERM, ERESTART, ESRCH } from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { PAGE_TABLE, testHost } from './testing.js';

// Xen's security advisories about event channels (https://xenbits.xen.org/xsa/), in our own words.

describe('known classes of faults', () => {
  it('XSA-317: ports that cannot be had are an error, the same each time, and nothing is left half made', () => {
    const { events } = testHost(7);
    for (let port = 1; port <= 7; port++) expect(events.allocUnbound(1, DOMID_SELF, 0)).toBe(port);
    for (let i = 0; i < 3; i++) {
      expect(events.bindIpi(1, 0)).toBe(-ENOSPC);
      expect(events.allocUnbound(1, DOMID_SELF, 0)).toBe(-ENOSPC);
    }
    expect(events.close(1, 3)).toBe(0);
    expect(events.bindIpi(1, 0)).toBe(3);
    events.checkInvariants();
  });

  it('XSA-338: a port that is valid stays so when the ABI changes back', () => {
    const { events } = testHost();
    const port = events.bindIpi(1, 0);
    expect(events.reset(1, DOMID_SELF)).toBe(0);
    for (const use of [events.send(1, port), events.unmask(1, 5000), events.bindVcpu(1, port, 0)]) {
      expect(use).toBe(-EINVAL);
    }
    events.checkInvariants();
  });

  it('XSA-342, XSA-221: numbers far beyond all ports are errors everywhere', () => {
    const { events } = testHost();
    for (const port of [1024, 4096, 131_072, 0x7fff_ffff, 0xffff_ffff]) {
      expect(events.send(1, port)).toBe(-EINVAL);
      expect(events.close(1, port)).toBe(-EINVAL);
      expect(events.unmask(1, port)).toBe(-EINVAL);
      expect(events.bindVcpu(1, port, 0)).toBe(-EINVAL);
      expect(events.status(1, DOMID_SELF, port)).toBe(-EINVAL);
      expect(events.bindInterdomain(1, DOMID_SELF, port)).toBe(-EINVAL);
      expect(events.poll(1, 0, [1, port])).toBe(-EINVAL);
    }
    events.checkInvariants();
  });

  it('XSA-343: a reset closes both ends, so that no port leads to one that is another’s by then', () => {
    const { events } = testHost();
    const offered = events.allocUnbound(1, DOMID_SELF, 2);
    const bound = events.bindInterdomain(2, 1, offered);
    expect(events.reset(1, DOMID_SELF)).toBe(0);
    // The number is used anew, for something else.
    expect(events.bindIpi(1, 0)).toBe(offered);
    expect(events.send(2, bound)).toBe(0);
    expect(events.isPending(1, offered)).toBe(0);
    events.checkInvariants();
  });

  it('XSA-343: a domain that goes leaves no port that sends to its successor', () => {
    const { events } = testHost();
    const bound = events.bindInterdomain(2, 1, events.allocUnbound(1, DOMID_SELF, 2));
    events.removeDomain(1);
    events.checkInvariants();
    expect(events.send(2, bound)).toBe(0);
    expect(events.bindInterdomain(2, 1, 1)).toBe(-ESRCH);
  });

  it('XSA-344: a reset of many ports is done in parts, and by one at a time', () => {
    const { events } = testHost(131_071);
    expect(events.initControl(1, 0, 1, 0)).toBe(0);
    for (let n = 0; n < 4200; n++) events.bindIpi(1, 0);
    const first = events.reset(1, DOMID_SELF);
    if (first === -ERESTART) expect(events.reset(1, DOMID_SELF)).toBe(-EBUSY);
    for (let rc = first; rc === -ERESTART; ) rc = events.reset(1, DOMID_SELF, true);
    expect(events.list(1)).toEqual([]);
    events.checkInvariants();
  });

  it('XSA-107: a FIFO control block lies within a page that the guest may lend, or there is none', () => {
    const { events } = testHost();
    expect(events.initControl(1, 0, 1, 4096 - 4)).toBe(-EINVAL);
    expect(events.initControl(1, 0, 1, 3)).toBe(-EINVAL);
    expect(events.initControl(1, 0, PAGE_TABLE, 0)).toBe(-EINVAL);
    expect(events.initControl(1, 77, 1, 0)).toBeLessThan(0);
    // Events of a vCPU without one are dropped.
    const port = events.bindIpi(1, 1);
    expect(events.send(1, port)).toBe(0);
    events.checkInvariants();
  });

  it('what is privileged stays so: ports for others, resets of others, their status', () => {
    const { events } = testHost();
    expect(events.allocUnbound(1, 2, 1)).toBe(-EPERM);
    expect(events.reset(1, 2)).toBe(-EPERM);
    expect(events.status(1, 2, 1)).toBeLessThan(0);
  });
});
