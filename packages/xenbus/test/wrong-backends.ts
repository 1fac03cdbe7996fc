import { type BackendDriver, serveBackends, XenbusState } from '@xenolith/xenbus';
import type { DriverPair } from '@xenolith/xenbus/testing';
import { blindForBeginnings, isStateOf, leaking, neverWrites, silent, sleepy, withStore } from './mutants.js';
import { vrngBackend } from './vrng.js';

type Backend = DriverPair['backend'];

/** Drivers that are wrong, the cases that must find it, and what these say. */
export interface Wrong<T> {
  what: string;
  wrong: T;
  cases: readonly string[];
  says: RegExp;
}

export const backend: Backend = (guest) => serveBackends(guest, vrngBackend(guest));

/** The backend, with another driver. */
const driver =
  (change: (driver: BackendDriver) => BackendDriver): Backend =>
  (guest) =>
    serveBackends(guest, change(vrngBackend(guest)));

const { initWait, connected, closing, closed } = XenbusState;

export const wrongBackends: readonly Wrong<Backend>[] = [
  {
    what: 'never waits',
    wrong: (guest) =>
      backend(
        withStore(guest, {
          write: (path, value) => (path.endsWith('/state') && value === String(initWait) ? '3' : value),
        }),
      ),
    cases: ['waits for the frontend in InitWait'],
    says: /instead of .*initWait/,
  },
  {
    what: 'never says that it is connected',
    wrong: (guest) => backend(neverWrites(guest, connected)),
    cases: ['connects and does its work'],
    says: /instead of connected/,
  },
  {
    what: 'is deaf',
    wrong: (guest) =>
      backend({
        ...guest,
        domid: guest.domid,
        eventChannels: { ...guest.eventChannels, onEvent() {} },
      }),
    cases: ['connects and does its work'],
    says: /does not come to an end/,
  },
  {
    what: 'looks only at what is new',
    wrong: (guest) => backend(sleepy(guest, (n) => n > 0)),
    cases: ['finds devices that were there before it'],
    says: /instead of connected/,
  },
  {
    what: 'never says that it closes',
    wrong: (guest) => backend(neverWrites(guest, closing)),
    cases: ['lets go when the frontend closes, and connects again'],
    says: /instead of closing/,
  },
  {
    what: 'never says that it is closed',
    wrong: (guest) => backend(neverWrites(guest, closed)),
    cases: ['closes when it is unplugged', 'lets go of a frontend that is closed at once'],
    says: /instead of .*closed/,
  },
  {
    what: 'keeps pages mapped',
    wrong: (guest) => backend(leaking(guest, 'unmap')),
    cases: ['lets go when the frontend closes, and connects again', 'gives all back when it stops'],
    says: /still uses 1 grants/,
  },
  {
    what: 'keeps ports',
    wrong: (guest) => backend(leaking(guest, 'close')),
    cases: ['closes when it is unplugged', 'survives the death of the frontend’s domain'],
    says: /still has 1 ports/,
  },
  {
    what: 'does not see a frontend that begins anew',
    wrong: (guest) => backend(blindForBeginnings(guest)),
    cases: [
      'starts over with a frontend that crashed without a word',
      'connects in the end to a frontend whose state never rests',
    ],
    says: /instead of/,
  },
  {
    what: 'does not see that its device is made anew',
    wrong: (guest) =>
      backend(
        withStore(guest, {
          read: (path, value) => (isStateOf('backend', path) && value === '1' ? '4' : value),
        }),
      ),
    cases: ['starts over with a device that the toolstack makes anew'],
    says: /instead of connected|there are only/,
  },
  {
    what: 'does not know of unplugging',
    wrong: (guest) =>
      backend(withStore(guest, { read: (path, value) => (path.endsWith('/online') ? '1' : value) })),
    cases: ['closes when it is unplugged before any frontend came'],
    says: /instead of closed/,
  },
  {
    what: 'writes into a directory that is gone',
    wrong: driver((inner) => ({
      ...inner,
      async probe(end) {
        const device = await inner.probe(end);
        const disconnect = async () => {
          await device.disconnect();
          await end.own.write({ state: closed });
        };
        return { ...device, disconnect };
      },
    })),
    cases: ['lets go when its directory is removed, and serves a new device of the same number'],
    says: /makes its directory again/,
  },
  {
    what: 'has the same page for all devices',
    wrong: driver((inner) => {
      let first: ReturnType<BackendDriver['probe']> | undefined;
      const probe: BackendDriver['probe'] = (end) => {
        first ??= inner.probe(end);
        return first;
      };
      return { ...inner, probe };
    }),
    cases: ['serves several devices, and goes on when one of them is unplugged'],
    says: /instead of|does not come to an end/,
  },
  {
    what: 'says nothing of errors',
    wrong: (guest) => backend(silent(guest)),
    cases: ['refuses what it cannot understand, and goes on with others'],
    says: /there is no error node/,
  },
  {
    what: 'takes everything for right',
    wrong: driver((inner) => ({
      ...inner,
      async probe(end) {
        const device = await inner.probe(end);
        return { ...device, connect: () => device.connect().catch(() => new Promise<never>(() => {})) };
      },
    })),
    cases: ['refuses what it cannot understand, and goes on with others'],
    says: /is in state 2/,
  },
  {
    what: 'never forgives',
    wrong: driver((inner) => {
      let isOffended = false;
      const probe: BackendDriver['probe'] = async (end) => {
        const device = await inner.probe(end);
        const connect = async () => {
          if (isOffended) throw new Error('I do not want to any more');
          isOffended = true;
          await device.connect();
          isOffended = false;
        };
        return { ...device, connect };
      };
      return { ...inner, probe };
    }),
    cases: ['refuses what it cannot understand, and goes on with others'],
    says: /instead of connected/,
  },
  {
    what: 'does not stop',
    wrong: (guest) => {
      backend(guest);
      return { async stop() {} };
    },
    cases: ['gives all back when it stops'],
    says: /still uses 1 grants/,
  },
];
