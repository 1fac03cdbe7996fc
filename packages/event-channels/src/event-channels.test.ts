import {
  DOMID_SELF,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOSPC,
  EPERM,
  ESRCH,
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
  VIRQ_CONSOLE,
  VIRQ_DEBUG,
  VIRQ_TIMER,
} from '@xenolith/xen-abi';
import { describe, expect, it } from 'vitest';
import { testHost } from './testing.js';

/** A guest (1) with the four kinds of port, as Xen numbers them: 1 unbound, 2 interdomain, 3 VIRQ, 4 IPI. */
function furnished() {
  const host = testHost();
  const { events } = host;
  expect(events.allocUnbound(1, DOMID_SELF, 0)).toBe(1);
  expect(events.allocUnbound(1, DOMID_SELF, 0)).toBe(2);
  expect(events.bindVirq(1, VIRQ_TIMER, 1)).toBe(3);
  expect(events.bindIpi(1, 1)).toBe(4);
  expect(events.bindInterdomain(0, 1, 2)).toBe(1);
  host.took();
  return host;
}

describe('results of xen/common/event_channel.c', () => {
  type Op = (e: ReturnType<typeof testHost>['events']) => unknown;
  const table: [string, Op, number][] = [
    ['alloc_unbound: no such domain', (e) => e.allocUnbound(1, 7, 0), -ESRCH],
    ['alloc_unbound: another domain, no privilege', (e) => e.allocUnbound(1, 2, 0), -EPERM],
    ['alloc_unbound: another domain, privileged', (e) => e.allocUnbound(0, 2, 0), 1],
    ['bind_interdomain: no such domain', (e) => e.bindInterdomain(1, 7, 1), -ESRCH],
    ['bind_interdomain: port beyond the buckets', (e) => e.bindInterdomain(0, 1, 5000), -EINVAL],
    ['bind_interdomain: for somebody else', (e) => e.bindInterdomain(2, 1, 1), -EINVAL],
    ['bind_interdomain: bound already', (e) => e.bindInterdomain(0, 1, 2), -EINVAL],
    ['bind_interdomain: not unbound', (e) => e.bindInterdomain(0, 1, 3), -EINVAL],
    ['bind_virq: no such VIRQ', (e) => e.bindVirq(1, 24, 0), -EINVAL],
    ['bind_virq: 2^31 and up are negative', (e) => e.bindVirq(1, -1, 0), -EINVAL],
    ['bind_virq: global on another vCPU', (e) => e.bindVirq(1, VIRQ_CONSOLE, 1), -EINVAL],
    ['bind_virq: no such vCPU', (e) => e.bindVirq(1, VIRQ_TIMER, 2), -ENOENT],
    ['bind_virq: twice', (e) => e.bindVirq(1, VIRQ_TIMER, 1), -EEXIST],
    ['bind_virq: same VIRQ, another vCPU', (e) => e.bindVirq(1, VIRQ_TIMER, 0), 5],
    ['bind_ipi: no such vCPU', (e) => e.bindIpi(1, 2), -ENOENT],
    ['bind_pirq: beyond nr_pirqs', (e) => e.bindPirq(1, 56), -EINVAL],
    ['bind_pirq: not permitted', (e) => e.bindPirq(1, 1), -EPERM],
    ['close: port 0', (e) => e.close(1, 0), -EINVAL],
    ['close: free port', (e) => e.close(1, 10), -EINVAL],
    ['close: beyond the buckets', (e) => e.close(1, 64), -EINVAL],
    ['close', (e) => e.close(1, 3), 0],
    ['send: free port', (e) => e.send(1, 10), -EINVAL],
    ['send: port 0', (e) => e.send(1, 0), -EINVAL],
    ['send: VIRQ', (e) => e.send(1, 3), -EINVAL],
    ['send: unbound is dropped', (e) => e.send(1, 1), 0],
    ['send: interdomain', (e) => e.send(1, 2), 0],
    ['send: IPI', (e) => e.send(1, 4), 0],
    ['status: no such domain', (e) => e.status(1, 7, 1), -ESRCH],
    ['status: another domain', (e) => e.status(1, 0, 1), -EPERM],
    ['status: beyond the buckets is found before privilege', (e) => e.status(1, 0, 64), -EINVAL],
    ['bind_vcpu: no such vCPU is found before the port', (e) => e.bindVcpu(1, 5000, 2), -ENOENT],
    ['bind_vcpu: beyond the buckets', (e) => e.bindVcpu(1, 5000, 1), -EINVAL],
    ['bind_vcpu: free', (e) => e.bindVcpu(1, 10, 1), -EINVAL],
    ['bind_vcpu: per-vCPU VIRQ', (e) => e.bindVcpu(1, 3, 0), -EINVAL],
    ['bind_vcpu: IPI', (e) => e.bindVcpu(1, 4, 0), -EINVAL],
    ['bind_vcpu: unbound', (e) => e.bindVcpu(1, 1, 1), 0],
    ['bind_vcpu: interdomain', (e) => e.bindVcpu(1, 2, 1), 0],
    ['unmask: free port', (e) => e.unmask(1, 10), 0],
    ['unmask: beyond the buckets', (e) => e.unmask(1, 64), -EINVAL],
    ['reset: no such domain', (e) => e.reset(1, 7), -ESRCH],
    ['reset: another domain', (e) => e.reset(1, 0), -EPERM],
    ['reset: privileged, but not paused', (e) => e.reset(0, 1), -EINVAL],
    ['reset: privileged and paused', (e) => e.reset(0, 2), 0],
    ['poll: free port', (e) => e.poll(1, 0, [10]), -EINVAL],
    ['poll: port 0', (e) => e.poll(1, 0, [0]), -EINVAL],
  ];
  it.each(table)('%s', (_name, op, result) => {
    const { events } = furnished();
    expect(op(events)).toBe(result);
    events.checkInvariants();
  });

  it('status tells each kind of port', () => {
    const { events } = furnished();
    expect(events.status(1, DOMID_SELF, 0)).toEqual({ status: EVTCHNSTAT_closed, vcpu: 0 });
    expect(events.list(1)).toEqual([
      { localPort: 1, status: EVTCHNSTAT_unbound, vcpu: 0, dom: 0 },
      { localPort: 2, status: EVTCHNSTAT_interdomain, vcpu: 0, dom: 0, port: 1 },
      { localPort: 3, status: EVTCHNSTAT_virq, vcpu: 1, virq: VIRQ_TIMER },
      { localPort: 4, status: EVTCHNSTAT_ipi, vcpu: 1 },
    ]);
  });

  it('runs out of ports at the limit, takes the lowest free one again, and none when dying', () => {
    const { events } = testHost(5);
    const ports = Array.from({ length: 6 }, () => events.bindIpi(1, 0));
    expect(ports).toEqual([1, 2, 3, 4, 5, -ENOSPC]);
    events.close(1, 4);
    events.close(1, 2);
    expect([events.bindIpi(1, 0), events.bindIpi(1, 0), events.bindIpi(1, 0)]).toEqual([2, 4, -ENOSPC]);
    events.close(1, 3);
    events.setDying(1);
    expect(events.bindIpi(1, 0)).toBe(-EINVAL);
    events.checkInvariants();
  });

  it('a failed bind gives its port back', () => {
    const { events } = testHost();
    expect(events.bindInterdomain(1, 2, 9)).toBe(-EINVAL);
    expect(events.bindIpi(1, 0)).toBe(1);
    events.checkInvariants();
  });

  it('closing leaves the peer unbound for the closer, and removal of a domain does the same', () => {
    const { events, took } = furnished();
    events.close(0, 1);
    expect(events.status(1, DOMID_SELF, 2)).toEqual({ status: EVTCHNSTAT_unbound, vcpu: 0, dom: 0 });
    expect(events.bindInterdomain(0, 1, 2)).toBe(1);
    took();
    events.removeDomain(0);
    expect(events.status(1, DOMID_SELF, 2)).toEqual({ status: EVTCHNSTAT_unbound, vcpu: 0, dom: 0 });
    expect(took()).toEqual([]);
    events.checkInvariants();
  });

  it('a domain may bind to itself', () => {
    const { events } = testHost();
    const a = events.allocUnbound(1, DOMID_SELF, DOMID_SELF);
    const b = events.bindInterdomain(1, DOMID_SELF, a);
    expect(b).toBe(2);
    expect(events.close(1, a)).toBe(0);
    expect(events.status(1, 1, b)).toEqual({ status: EVTCHNSTAT_unbound, vcpu: 0, dom: 1 });
    events.checkInvariants();
  });

  it('reset closes everything that the domain has', () => {
    const { events } = furnished();
    expect(events.reset(1, DOMID_SELF)).toBe(0);
    expect(events.list(1)).toEqual([]);
    expect(events.bindVirq(1, VIRQ_TIMER, 1)).toBe(1);
    events.checkInvariants();
  });

  it('a moved global VIRQ arrives on its new vCPU and can be closed there', () => {
    const { events, took } = testHost();
    const port = events.bindVirq(1, VIRQ_CONSOLE, 0);
    expect(events.bindVcpu(1, port, 1)).toBe(0);
    expect(events.raiseVirq(1, VIRQ_CONSOLE)).toBe(true);
    expect(took()).toEqual(['notify d1v1']);
    expect(events.close(1, port)).toBe(0);
    expect(events.raiseVirq(1, VIRQ_CONSOLE)).toBe(false);
    expect(events.isVirqBound(1, VIRQ_DEBUG)).toBe(false);
    events.checkInvariants();
  });
});
