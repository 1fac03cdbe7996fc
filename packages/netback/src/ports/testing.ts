import type { Clock } from '@xenolith/guest-api';
import type { NetworkPort } from './network-port.js';

/** Time that passes only outside. */
export const outsideClock: Clock = {
  now: () => 0,
  after: () => () => {},
  completion: (work, _latency, done) => void Promise.allSettled([work]).then(([outcome]) => done(outcome)),
};

/** Waits, for at most five seconds. @throws Error after them */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`this never comes: ${condition}`);
}

/** Connects a port. @returns what comes out of it */
export function listenTo(port: NetworkPort): Uint8Array[] {
  const got: Uint8Array[] = [];
  port.connect(({ data }) => got.push(data));
  return got;
}
