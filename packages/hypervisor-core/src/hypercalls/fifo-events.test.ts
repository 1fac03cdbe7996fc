import * as abi from '@xenolith/xen-abi';
import { expect, it } from 'vitest';
import { createDomain } from '../domain/create.js';
import { destroyDomain } from '../domain/destroy.js';
import { testHost } from '../testing/test-host.js';

const { EvtchnFifoControlBlock: BLOCK } = abi;

function fifoHost(settings: { maxEventPort?: number } = {}) {
  const host = testHost({}, settings);
  const op = (command: number, ...words: (number | bigint)[]) => {
    host.poke(host.at(0), ...words);
    return host.hypercall(abi.__HYPERVISOR_event_channel_op, command, host.at(0));
  };
  const block = host.frame(5) * 4096;
  const array = host.frame(6) * 4096;
  return { ...host, op, block, array, word: (at: number) => host.machine.view.getUint32(at, true) };
}

it('events go through the pages that the guest names, by machine frame', () => {
  const { op, hv, at, block, array, frame, word, vcpu } = fifoHost();
  expect(op(abi.EVTCHNOP_init_control, BigInt(frame(5)), 128, 0)).toBe(0);
  expect(hv.access.readU32(at(0, abi.EvtchnInitControl.offset.link_bits))! & 0xff).toBe(17);
  expect(op(abi.EVTCHNOP_expand_array, BigInt(frame(6)))).toBe(0);
  expect(op(abi.EVTCHNOP_bind_virq, abi.VIRQ_TIMER, 0)).toBe(0);
  const port = hv.access.readU32(at(0, abi.EvtchnBindVirq.offset.port))!;
  expect(op(abi.EVTCHNOP_set_priority, port, 0)).toBe(0);
  hv.info.setUpcallMask(vcpu, 0);
  hv.startSingleshot(vcpu, -1);
  expect(word(array + port * 4)).toBe(2 ** abi.EVTCHN_FIFO_PENDING + 2 ** abi.EVTCHN_FIFO_LINKED);
  expect([word(block + 128 + BLOCK.offset.ready), word(block + 128 + BLOCK.offset.head)]).toEqual([1, port]);
  expect(hv.info.mustDeliver(vcpu)).toBe(true);
});

it('the pages are held as Xen holds them: no page tables, and free again after a reset and when the domain goes', () => {
  const { op, hv, frame, domain } = fifoHost();
  const { frames } = hv.memory;
  const before = [5, 6].map((page) => frames.references(frame(page)));
  expect(op(abi.EVTCHNOP_init_control, BigInt(frame(16)), 0, 0)).toBe(-abi.EINVAL);
  const enter = () => {
    expect(op(abi.EVTCHNOP_init_control, BigInt(frame(5)), 0, 0)).toBe(0);
    expect(op(abi.EVTCHNOP_expand_array, BigInt(frame(6)))).toBe(0);
    expect([5, 6].map((page) => frames.references(frame(page)))).toEqual(before.map((n) => n + 1));
  };
  enter();
  hv.checks!.everything();
  expect(op(abi.EVTCHNOP_reset, abi.DOMID_SELF)).toBe(0);
  expect([5, 6].map((page) => frames.references(frame(page)))).toEqual(before);
  enter();
  const free = frames.freeFrames;
  expect(destroyDomain(hv, domain)).toBe(true);
  expect(frames.freeFrames).toBeGreaterThanOrEqual(free + 64);
});

it('a reset of very many ports goes on in further calls', () => {
  const { op, hv, cpu, frame, domain } = fifoHost({ maxEventPort: 100_000 });
  op(abi.EVTCHNOP_init_control, BigInt(frame(5)), 0, 0);
  for (let n = 0; n < 10_000; n++) expect(hv.events.bindIpi(domain.domid, 0)).toBeGreaterThan(0);
  // The first call leaves RIP at the SYSCALL, with EVTCHNOP_reset_cont to do.
  expect(op(abi.EVTCHNOP_reset, abi.DOMID_SELF)).not.toBe(0);
  expect(cpu.regs.gpr[7]).toBe(BigInt(abi.EVTCHNOP_reset_cont));
  const left = () => hv.events.list(domain.domid).length;
  expect(left()).toBe(10_000 - 4096);
  const again = () => op(abi.EVTCHNOP_reset_cont, abi.DOMID_SELF);
  again();
  expect(left()).toBe(10_000 - 2 * 4096);
  expect(op(abi.EVTCHNOP_reset, abi.DOMID_SELF)).toBe(-abi.EBUSY);
  expect([again(), left()]).toEqual([0, 0]);
});

it('the port limit is the domain’s', () => {
  const { hv } = testHost();
  const { domid } = createDomain(hv, { memoryPages: 1, vcpus: 1, maxEventPort: 3 });
  expect([1, 2, 3, 4].map(() => hv.events.bindIpi(domid, 0))).toEqual([1, 2, 3, -abi.ENOSPC]);
});
