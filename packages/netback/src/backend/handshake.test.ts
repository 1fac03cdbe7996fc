import { backendCompliance, frontendCompliance } from '@xenolith/xenbus/testing';
import { describe, expect, it } from 'vitest';
import { netPair } from '../testing/net-pair.js';
import { rawFrontend } from '../testing/raw-frontend.js';

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

  it('refuses a frontend without rx-copy', async () => {
    const { state, error } = await rawFrontend({ nodes: {} });
    expect(state()).toBe('5');
    expect(error()).toContain('rx-copy');
  });
});
