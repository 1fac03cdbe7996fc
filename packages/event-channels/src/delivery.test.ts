import { DOMID_SELF, VIRQ_TIMER } from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { EventChannels } from './event-channels.js';
import { testHost } from './testing.js';

describe('2-level delivery', () => {
  it('sets the pending bit, the selector and the upcall flag, and notifies once', () => {
    const { events, took, pending, selected, upcall, acknowledge } = testHost();
    for (let i = 0; i < 70; i++) events.bindIpi(1, 0);
    events.send(1, 70);
    expect([pending(1, 70), selected(1, 0, 1), selected(1, 0, 0), upcall(1, 0)]).toEqual([1, 1, 0, 1]);
    expect(took()).toEqual(['notify d1v0']);
    events.send(1, 70);
    events.send(1, 3);
    expect(selected(1, 0, 0)).toBe(1);
    expect(took()).toEqual([]);
    acknowledge(1, 0);
    events.send(1, 3);
    expect(took()).toEqual(['notify d1v0']);
  });

  it('a masked event waits for unmask', () => {
    const { events, took, mask, pending, upcall } = testHost();
    const port = events.bindVirq(1, VIRQ_TIMER, 1);
    mask(1, port, 1);
    events.raiseVirq(1, VIRQ_TIMER, 1);
    expect([pending(1, port), upcall(1, 1), took()]).toEqual([1, 0, []]);
    expect(events.unmask(1, port)).toBe(0);
    expect([upcall(1, 1), took()]).toEqual([1, ['notify d1v1']]);
    events.unmask(1, port);
    expect(took()).toEqual([]);
  });

  it('binding sets the binder pending; closing clears it', () => {
    const { events, took, pending } = testHost();
    const port = events.allocUnbound(2, DOMID_SELF, 1);
    const local = events.bindInterdomain(1, 2, port);
    expect(took()).toEqual(['notify d1v0']);
    expect([pending(1, local), pending(2, port)]).toEqual([1, 0]);
    events.close(1, local);
    expect(pending(1, local)).toBe(0);
  });

  it('wakes the vCPUs that poll this port, or several, even when it is masked', () => {
    const { events, took, mask } = testHost();
    const [a, b] = [events.bindIpi(1, 0), events.bindIpi(1, 0)];
    mask(1, a, 1);
    expect(events.poll(1, 0, [a])).toBe('blocked');
    expect(events.poll(1, 1, [a, b])).toBe('blocked');
    events.send(1, b);
    expect(took()).toEqual(['notify d1v0', 'unblock d1v1']);
    events.send(1, a);
    expect(took()).toEqual(['unblock d1v0']);
    expect(events.poll(1, 0, [a])).toBe('pending');
    expect(events.isPending(1, a)).toBe(1);
  });

  it('a poller that stopped is not woken', () => {
    const { events, took } = testHost();
    const port = events.bindIpi(1, 1);
    events.poll(1, 0, [port]);
    events.stopPolling(1, 0);
    events.send(1, port);
    expect(took()).toEqual(['notify d1v1']);
  });

  it('a vCPU without vcpu_info gets its pending bit and no upcall', () => {
    const bytes = new Uint8Array(4096);
    const notified: number[] = [];
    const events = new EventChannels({ notify: (_d, v) => notified.push(v), unblock() {} });
    const delivery = { bytes, sharedInfo: () => 0, vcpuInfo: () => -1 };
    events.addDomain({ domid: 1, vcpus: 40, delivery });
    const port = events.bindIpi(1, 39);
    events.send(1, port);
    expect([events.isPending(1, port), notified]).toEqual([1, []]);
  });

  it('a 32-bit guest has 1,024 ports and 32-bit words', () => {
    const bytes = new Uint8Array(4096);
    const events = new EventChannels({ notify() {}, unblock() {} });
    const delivery = { bytes, sharedInfo: () => 0, vcpuInfo: () => 0 };
    events.addDomain({ domid: 1, vcpus: 1, delivery, wordBits: 32, maxPort: 4095 });
    const ports = Array.from({ length: 1024 }, () => events.bindIpi(1, 0));
    expect(ports.slice(-2)).toEqual([1023, -28]);
    events.send(1, 33);
    // Compatibility layout: selector at 4 of vcpu_info, pending words after 32 vcpu_infos of 64 bytes, then the mask.
    expect([bytes[0], bytes[4], bytes[2048 + 4]]).toEqual([1, 2, 2]);
    bytes[2048 + 128 + 4] = 4;
    bytes[0] = bytes[4] = 0;
    events.send(1, 34);
    expect(bytes[0]).toBe(0);
    events.unmask(1, 34);
    expect(bytes[0]).toBe(1);
  });
});

describe('native delivery', () => {
  it('calls the consumer, and keeps what comes while masked', () => {
    const { events, took } = testHost();
    const port = events.allocUnbound(1, DOMID_SELF, 0);
    const native = events.bindInterdomain(0, 1, port);
    expect(took()).toEqual([`event d0:${native}`]);
    events.maskNative(0, native);
    events.send(1, port);
    events.send(1, port);
    expect(took()).toEqual([]);
    expect(events.isPending(0, native)).toBe(1);
    events.unmask(0, native);
    expect(took()).toEqual([`event d0:${native}`]);
    events.send(0, native);
    expect(took()).toEqual(['notify d1v0']);
    expect(() => events.maskNative(1, port)).toThrow('not native');
  });
});
