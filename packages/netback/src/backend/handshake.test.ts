import { backendCompliance, frontendCompliance, settle } from '@xenolith/xenbus/testing';
import { describe, expect, it } from 'vitest';
import { netPair, someFrame } from '../testing/net-pair.js';
import { ALL, rawFrontend } from '../testing/raw-frontend.js';

describe('the backend keeps the handshake', () => {
  for (const { name, run } of backendCompliance) it(name, () => run(netPair()));
});
describe('the frontend keeps the handshake', () => {
  for (const { name, run } of frontendCompliance) it(name, () => run(netPair()));
});
describe('the frontend keeps it with offloads', () => {
  for (const { name, run } of frontendCompliance) it(name, () => run(netPair({}, { offloads: true })));
});

describe('the backend', () => {
  it('offers what it can', async () => {
    const { fabric, backDirectory, state, isUp } = await rawFrontend();
    const nodes = Object.fromEntries(
      fabric.store.list(backDirectory).map((name) => [name, fabric.store.read(`${backDirectory}/${name}`)]),
    );
    expect(nodes).toMatchObject({
      'feature-rx-copy': '1',
      'feature-sg': '1',
      'feature-gso-tcpv4': '1',
      'feature-gso-tcpv6': '1',
      'feature-ctrl-ring': '1',
      'feature-multicast-control': '1',
      'feature-split-event-channels': '1',
      'multi-queue-max-queues': '4',
    });
    expect([state(), isUp()]).toEqual(['4', true]);
  });

  it.each<[string, Parameters<typeof rawFrontend>[0], string]>([
    ['does not ask for rx-copy', { nodes: {} }, 'rx-copy'],
    ['has no transmit ring', { without: ['tx-ring-ref'] }, 'tx-ring-ref'],
    ['has no receive ring', { without: ['rx-ring-ref'] }, 'rx-ring-ref'],
    ['has no event channel', { without: ['event-channel'] }, 'event-channel'],
    ['has half of two event channels', { split: true, without: ['event-channel-rx'] }, 'event-channel-rx'],
    ['grants no such ring', { nodes: { ...ALL, 'tx-ring-ref': 9999 } }, '9999'],
    ['has a ring that is no number', { nodes: { ...ALL, 'rx-ring-ref': '-1' } }, 'rx-ring-ref'],
    ['has no such port', { nodes: { ...ALL, 'event-channel': 4_000_000_000 } }, '4000000000'],
    ['wants no queue', { nodes: { ...ALL, 'multi-queue-num-queues': 0 } }, 'no queue'],
    ['wants too many queues', { nodes: { ...ALL, 'multi-queue-num-queues': 5 } }, 'multi-queue-num-queues'],
    ['has not so many queues', { nodes: { ...ALL, 'multi-queue-num-queues': 2 } }, 'queue-0/tx-ring-ref'],
    ['has a queue less', { queues: 3, without: ['queue-2'] }, 'queue-2/tx-ring-ref'],
    ['grants no control ring', { nodes: { ...ALL, 'ctrl-ring-ref': 9999 }, control: true }, '9999'],
    ['has no port for control', { control: true, without: ['event-channel-ctrl'] }, 'event-channel-ctrl'],
  ])('refuses a frontend that %s, and keeps nothing of it', async (_, setUp, problem) => {
    const { state, error, isUp, back, front } = await rawFrontend(setUp);
    expect([state(), isUp()]).toEqual(['5', false]);
    expect(error()).toContain(problem);
    expect([back.openPorts, back.pagesInUse, front.grantsInUse]).toEqual([0, 0, 0]);
  });

  it('has its link up while both are connected, and only then', async () => {
    const { isUp, state, write, fabric, sent, queue, arrive } = await rawFrontend();
    expect([state(), isUp()]).toEqual(['4', true]);
    write({ state: 5 });
    await settle();
    expect([state(), isUp()]).toEqual(['5', false]);
    arrive(someFrame(60));
    expect(await queue.transmit(...queue.slotsOf(someFrame(60).data))).toEqual([]);
    expect(sent).toEqual([]);
    write({ state: 6 });
    await fabric.advance(1e6);
    write({ state: 1 });
    await fabric.advance(1e6);
    expect([state(), isUp()]).toEqual(['2', false]);
    write({ state: 4 });
    await fabric.advance(1e6);
    expect([state(), isUp()]).toEqual(['4', true]);
  });
});
