import { serveBackends, serveFrontends } from '@xenolith/xenbus';
import { backendCompliance, type DriverPair, frontendCompliance } from '@xenolith/xenbus/testing';
import { describe, it } from 'vitest';
import { type RandomSource, vrngBackend, vrngFrontend } from './vrng.js';

const vrng: DriverPair = {
  type: 'vrng',
  backend: (guest) => serveBackends(guest, vrngBackend(guest)),
  frontend(guest) {
    const sources = new Map<string, RandomSource | undefined>();
    const served = serveFrontends(
      guest,
      vrngFrontend(guest, (id, source) => sources.set(id, source)),
    );
    return {
      stop: () => served.stop(),
      // Uses a device; an error or silence is a failure.
      async exercise(id) {
        const bytes = await sources.get(id)?.(16);
        if (bytes?.length !== 16 || bytes.every((byte) => byte === 0)) throw new Error(`no: ${bytes}`);
      },
    };
  },
};

describe('the backend', () => {
  for (const { name, run } of backendCompliance) it(name, () => run(vrng));
});
describe('the frontend', () => {
  for (const { name, run } of frontendCompliance) it(name, () => run(vrng));
});
