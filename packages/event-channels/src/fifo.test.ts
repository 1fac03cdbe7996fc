import {
  DOMID_SELF,
  EACCES,
  EAGAIN,
  EBUSY,
  EINVAL,
  ENOENT,
  ENOSPC,
  ENOSYS,
  EOPNOTSUPP,
  ERESTART,
  VIRQ_CONSOLE,
  VIRQ_TIMER,
} from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { EventChannels } from './event-channels.js';
import { ARRAY_PAGE, BLOCK_PAGE, fifoGuest, LINKED, MASKED, PENDING } from './fifo-guest.js';
import { PAGE_TABLE, testHost } from './testing.js';

/** Domain 1 with the FIFO ABI on both vCPUs, and `ipis` ports on vCPU 0. */
function fifoHost(ipis = 0, maxPort?: number) {
  const host = testHost(maxPort);
  const guest = fifoGuest(host);
  expect(guest.enter()).toEqual([0, 0, 0]);
  for (let n = 1; n <= ipis; n++) expect(host.events.bindIpi(1, 0)).toBe(n);
  host.took();
  return { ...host, guest };
}

describe('results of xen/common/event_fifo.c and event_channel.c', () => {
  type Events = ReturnType<typeof testHost>['events'];
  const onTwoLevel: [string, (e: Events) => number, number][] = [
    ['init_control: no such vCPU is found first', (e) => e.initControl(1, 2, 99, 4096), -ENOENT],
    ['init_control: the block crosses its page', (e) => e.initControl(1, 0, 1, 4096 - 64), -EINVAL],
    ['init_control: the last place', (e) => e.initControl(1, 0, 1, 4096 - 72), 0],
    ['init_control: not a multiple of 8', (e) => e.initControl(1, 0, 1, 4), -EINVAL],
    ['init_control: an offset of 32 bits', (e) => e.initControl(1, 0, 1, 2 ** 32 - 8), -EINVAL],
    ['init_control: a frame that it does not own', (e) => e.initControl(1, 0, 99, 0), -EINVAL],
    ['init_control: a page table', (e) => e.initControl(1, 0, PAGE_TABLE, 0), -EINVAL],
    ['init_control: a native domain', (e) => e.initControl(0, 0, 1, 0), -ENOSYS],
    ['expand_array: on the 2-level ABI', (e) => e.expandArray(1, 1), -EOPNOTSUPP],
    ['set_priority: on the 2-level ABI', (e) => e.setPriority(1, 1, 99), -ENOSYS],
    ['set_priority: a port beyond the buckets is found first', (e) => e.setPriority(1, 64, 7), -EINVAL],
  ];
  const onFifo: [string, (e: Events) => number, number][] = [
    ['init_control: the vCPU has its block', (e) => e.initControl(1, 0, 5, 0), -EINVAL],
    ['expand_array: a frame that it does not own', (e) => e.expandArray(1, 99), -EINVAL],
    ['expand_array: a page table', (e) => e.expandArray(1, PAGE_TABLE), -EINVAL],
    ['expand_array: another page', (e) => e.expandArray(1, 5), 0],
    ['set_priority: beyond the buckets', (e) => e.setPriority(1, 64, 7), -EINVAL],
    ['set_priority: a free port', (e) => e.setPriority(1, 5, 7), -EACCES],
    ['set_priority: port 0', (e) => e.setPriority(1, 0, 7), -EACCES],
    ['set_priority: 15 is the lowest', (e) => e.setPriority(1, 1, 15), 0],
    ['set_priority: 16', (e) => e.setPriority(1, 1, 16), -EINVAL],
    ['reset_cont: nothing to go on with', (e) => e.reset(1, DOMID_SELF, true), -EBUSY],
    ['poll: port 0', (e) => e.poll(1, 0, [0]) as number, -EINVAL],
    ['poll: a free port', (e) => e.poll(1, 0, [5]) as number, -EINVAL],
  ];
  it.each(onTwoLevel)('%s', (_name, operation, result) => {
    const { events, held } = testHost();
    events.bindIpi(1, 0);
    expect(operation(events)).toBe(result);
    events.checkInvariants();
    // What fails holds nothing, and leaves the domain with its 2-level ABI.
    if (result !== 0) expect([held().size, events.setPriority(1, 1, 0)]).toEqual([0, -ENOSYS]);
  });
  it.each(onFifo)('%s', (_name, operation, result) => {
    const { events, held } = fifoHost(1);
    const before = held().size;
    expect(operation(events)).toBe(result);
    events.checkInvariants();
    if (result !== 0) expect(held().size).toBe(before);
  });

  it('without pages of the guest there is no FIFO ABI', () => {
    const events = new EventChannels({ notify() {}, unblock() {} });
    const delivery = { bytes: new Uint8Array(4096), sharedInfo: () => 0, vcpuInfo: () => 0 };
    events.addDomain({ domid: 1, vcpus: 1, delivery });
    expect([events.initControl(1, 0, 0, 0), events.expandArray(1, 0)]).toEqual([-ENOSYS, -ENOSYS]);
  });

  it('takes 128 pages of event words for 131,072 ports, and no more', () => {
    const { events, held } = fifoHost();
    for (let n = 1; n < 128; n++) expect(events.expandArray(1, ARRAY_PAGE)).toBe(0);
    expect(events.expandArray(1, ARRAY_PAGE)).toBe(-ENOSPC);
    expect([...held().values()]).toEqual([1, 1, 128]);
    events.removeDomain(1);
    expect(held().size).toBe(0);
  });

  it('gives out ports beyond the 2-level ABI’s 4,096, up to the domain’s limit', () => {
    const { events } = fifoHost(0, 5000);
    for (let n = 1; n <= 5000; n++) expect(events.bindIpi(1, 0)).toBe(n);
    expect(events.bindIpi(1, 0)).toBe(-ENOSPC);
    const { events: twoLevel } = testHost(5000);
    for (let n = 1; n < 4096; n++) twoLevel.bindIpi(1, 0);
    expect(twoLevel.bindIpi(1, 0)).toBe(-ENOSPC);
  });
});

describe('FIFO delivery', () => {
  it('sets PENDING and LINKED, heads the queue, says that it is ready, and notifies once', () => {
    const { events, guest, took, upcall } = fifoHost(3);
    events.send(1, 2);
    expect([guest.read(2), guest.head(0, 7), guest.ready(0)]).toEqual([PENDING + LINKED, 2, 1 << 7]);
    expect([took(), upcall(1, 0)]).toEqual([['notify d1v0'], 1]);
    events.send(1, 3);
    events.send(1, 1);
    events.send(1, 2);
    expect([guest.read(2), guest.read(3), guest.read(1)]).toEqual([
      PENDING + LINKED + 3,
      PENDING + LINKED + 1,
      PENDING + LINKED,
    ]);
    expect(took()).toEqual([]);
    expect(guest.handle(0)).toEqual([2, 3, 1]);
    expect([1, 2, 3].map(guest.read)).toEqual([0, 0, 0]);
    events.send(1, 1);
    expect(took()).toEqual(['notify d1v0']);
    expect(guest.handle(0)).toEqual([1]);
  });

  it('takes the most urgent queue first', () => {
    const { events, guest } = fifoHost(4);
    for (const [port, priority] of [
      [1, 15],
      [2, 7],
      [3, 0],
      [4, 3],
    ])
      events.setPriority(1, port!, priority!);
    for (const port of [1, 2, 3, 4]) events.send(1, port);
    expect(guest.handle(0)).toEqual([3, 4, 2, 1]);
  });

  it('a link replaces the old one and BUSY, and nothing else of the word', () => {
    const { events, guest } = fifoHost(2);
    events.send(1, 1);
    guest.write(1, 0xffff_ffff);
    events.send(1, 2);
    expect(guest.read(1)).toBe(0xeffe_0002);
  });

  it('a masked event waits, PENDING and not LINKED, for EVTCHNOP_unmask', () => {
    const { events, guest, took } = fifoHost(1);
    guest.mask(1);
    events.send(1, 1);
    expect([guest.read(1), guest.ready(0), took()]).toEqual([PENDING + MASKED, 0, []]);
    expect(events.unmask(1, 1)).toBe(0);
    expect([guest.read(1), took()]).toEqual([PENDING + LINKED, ['notify d1v0']]);
    expect(guest.handle(0)).toEqual([1]);
    events.unmask(1, 1);
    expect(took()).toEqual([]);
  });

  it('an event that is masked while it is linked is not lost', () => {
    const { events, guest } = fifoHost(2);
    events.send(1, 1);
    events.send(1, 2);
    guest.mask(1);
    expect(guest.handle(0)).toEqual([2]);
    events.unmask(1, 1);
    expect(guest.handle(0)).toEqual([1]);
  });

  it('a port that moves to another queue leaves none behind', () => {
    const { events, guest, took } = fifoHost(3);
    const port = events.allocUnbound(1, DOMID_SELF, DOMID_SELF);
    const other = events.bindInterdomain(1, DOMID_SELF, port);
    guest.handle(0);
    events.send(1, other);
    expect(guest.handle(0)).toEqual([port]);
    // It was the tail of vCPU 0's queue. On vCPU 1 it is alone, and what comes on vCPU 0 must not be linked behind it.
    events.bindVcpu(1, port, 1);
    events.setPriority(1, port, 2);
    took();
    events.send(1, other);
    events.send(1, 1);
    expect(took()).toEqual(['notify d1v1', 'notify d1v0']);
    expect([guest.head(1, 2), guest.head(0, 7)]).toEqual([port, 1]);
    expect([guest.handle(1), guest.handle(0)]).toEqual([[port], [1]]);
  });

  it('while it is linked a port stays in its old queue, though its priority changed', () => {
    const { events, guest } = fifoHost(2);
    events.send(1, 1);
    events.setPriority(1, 1, 0);
    events.send(1, 1);
    expect([guest.ready(0), guest.handle(0)]).toEqual([1 << 7, [1]]);
    events.send(1, 1);
    expect([guest.ready(0), guest.handle(0)]).toEqual([1, [1]]);
  });

  it('drops events of a vCPU without a control block, and does not even mark them', () => {
    const host = testHost();
    const guest = fifoGuest(host);
    expect(guest.enter(1, 1)).toEqual([0, 0]);
    const port = host.events.bindIpi(1, 1);
    host.events.send(1, port);
    expect([guest.read(port), host.took()]).toEqual([0, []]);
    host.events.initControl(1, 1, BLOCK_PAGE + 1, 64);
    host.events.send(1, port);
    expect([host.took(), guest.handle(1)]).toEqual([['notify d1v1'], [port]]);
  });

  it('keeps what was pending under the 2-level ABI, and what came before there was a word', () => {
    const host = testHost();
    const { events, took, pending } = host;
    const guest = fifoGuest(host);
    for (let n = 1; n <= 3; n++) events.bindIpi(1, 0);
    events.send(1, 1);
    expect(pending(1, 1)).toBe(1);
    events.initControl(1, 0, BLOCK_PAGE, 64);
    events.send(1, 3);
    expect(events.isPending(1, 3)).toBe(0);
    host.acknowledge(1, 0);
    took();
    expect(events.expandArray(1, ARRAY_PAGE)).toBe(0);
    expect(took()).toEqual(['notify d1v0']);
    expect(guest.handle(0)).toEqual([1, 3]);
  });

  it('VIRQs and interdomain ports arrive where they are bound', () => {
    const { events, guest } = fifoHost();
    const timer = events.bindVirq(1, VIRQ_TIMER, 1);
    const console = events.bindVirq(1, VIRQ_CONSOLE, 0);
    const port = events.bindInterdomain(1, 0, events.allocUnbound(0, 0, 1));
    expect(guest.handle(0)).toEqual([port]);
    events.raiseVirq(1, VIRQ_TIMER, 1);
    events.raiseVirq(1, VIRQ_CONSOLE);
    expect([guest.handle(1), guest.handle(0)]).toEqual([[timer], [console]]);
  });

  it('a closed port that is still linked is not given out until the guest has unlinked it', () => {
    const { events, guest } = fifoHost(3);
    events.send(1, 2);
    events.close(1, 2);
    expect(guest.read(2)).toBe(LINKED);
    expect(events.bindIpi(1, 0)).toBe(4);
    expect(guest.handle(0)).toEqual([]);
    expect(events.bindIpi(1, 0)).toBe(2);
    events.checkInvariants();
  });

  it('wakes who polls, also for a masked port, once', () => {
    const { events, guest, took } = fifoHost(1);
    guest.mask(1);
    expect(events.poll(1, 1, [1])).toBe('blocked');
    events.send(1, 1);
    expect(took()).toEqual(['unblock d1v1']);
    expect(events.poll(1, 1, [1])).toBe('pending');
    events.send(1, 1);
    expect(took()).toEqual([]);
  });
});

describe('EVTCHNOP_reset', () => {
  it('goes back to the 2-level ABI and gives the pages back; then FIFO can begin anew', () => {
    const { events, guest, held, pending, took } = fifoHost(2);
    events.send(1, 2);
    expect(held().size).toBe(3);
    expect(events.reset(1, DOMID_SELF)).toBe(0);
    expect(held().size).toBe(0);
    expect(events.expandArray(1, ARRAY_PAGE)).toBe(-EOPNOTSUPP);
    expect(events.bindIpi(1, 0)).toBe(1);
    took();
    // The upcall flag is still set: the guest has not looked.
    events.send(1, 1);
    expect([pending(1, 1), took()]).toEqual([1, []]);
    expect(guest.enter()).toEqual([0, 0, 0]);
    events.checkInvariants();
  });

  it('a dying domain gives its pages back at once', () => {
    const { events, held } = fifoHost(2);
    events.setDying(1);
    expect([held().size, events.list(1)]).toEqual([0, []]);
  });

  it('closes 4,096 ports at a time, and one reset at a time', () => {
    const { events } = fifoHost(0, 131071);
    for (let n = 0; n < 9000; n++) events.bindIpi(1, 0);
    expect(events.reset(1, DOMID_SELF)).toBe(-ERESTART);
    expect([events.list(1).length, events.reset(1, DOMID_SELF)]).toEqual([9000 - 4096, -EBUSY]);
    expect(events.reset(1, DOMID_SELF, true)).toBe(-ERESTART);
    // Another vCPU binds a port where the reset has passed.
    expect(events.bindIpi(1, 1)).toBe(1);
    expect(events.reset(1, DOMID_SELF, true)).toBe(-EAGAIN);
    expect([events.list(1).length, events.setPriority(1, 1, 1)]).toEqual([1, 0]);
    expect([events.reset(1, DOMID_SELF), events.list(1)]).toEqual([0, []]);
    expect(events.setPriority(1, 1, 1)).toBe(-ENOSYS);
  });
});
