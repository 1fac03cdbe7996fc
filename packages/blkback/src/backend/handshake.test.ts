import { backendCompliance, frontendCompliance } from '@xenolith/xenbus/testing';
import { describe, it } from 'vitest';
import { MemoryDevice } from '../devices/memory-device.js';
import { OverlayDevice } from '../devices/overlay.js';
import { blockPair } from '../testing/block-pair.js';

describe('the backend keeps the handshake', () => {
  for (const { name, run } of backendCompliance) it(name, () => run(blockPair()));
});
describe('the backend keeps it with a device that takes its time', () => {
  const slow = blockPair({}, () => new OverlayDevice(new MemoryDevice(1 << 20)));
  for (const { name, run } of backendCompliance) it(name, () => run(slow));
});
describe('the frontend keeps the handshake', () => {
  for (const { name, run } of frontendCompliance) it(name, () => run(blockPair()));
});
