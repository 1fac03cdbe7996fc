import type { Guest } from '@xenolith/guest-api';
import { type FrontendDriver, serveFrontends, XenbusState } from '@xenolith/xenbus';
import type { DriverPair } from '@xenolith/xenbus/testing';
import { blindForBeginnings, isStateOf, leaking, neverWrites, silent, sleepy, withStore } from './mutants.js';
import { type RandomSource, vrngFrontend } from './vrng.js';
import type { Wrong } from './wrong-backends.js';

type Frontend = DriverPair['frontend'];

/** The frontend, with another driver. */
const frontendWith =
  (change: (driver: FrontendDriver) => FrontendDriver): Frontend =>
  (guest) => {
    const sources = new Map<string, RandomSource | undefined>();
    const driver = vrngFrontend(guest, (id, source) => sources.set(id, source));
    const served = serveFrontends(guest, change(driver));
    return {
      stop: () => served.stop(),
      async exercise(id) {
        if ((await sources.get(id)?.(16))?.length !== 16) throw new Error('there are no random bytes');
      },
    };
  };

export const frontend = frontendWith((driver) => driver);

const { initialised, connected, closed } = XenbusState;

/** Takes a backend that begins anew for one that is closed. */
function impatient(guest: Guest): Guest {
  let wasConnected = false;
  return withStore(guest, {
    read(path, value) {
      if (!isStateOf('backend', path)) return value;
      wasConnected ||= value === '4';
      return wasConnected && value === '2' ? '6' : value;
    },
  });
}

export const wrongFrontends: readonly Wrong<Frontend>[] = [
  {
    what: 'writes before the backend can read',
    wrong: frontendWith((inner) => ({
      ...inner,
      async probe(end) {
        await end.own.write({ 'page-ref': 8 });
        return inner.probe(end);
      },
    })),
    cases: ['offers nothing before the backend waits for it'],
    says: /has written page-ref/,
  },
  {
    what: 'never says that it has something to offer',
    wrong: (guest) => frontend(neverWrites(guest, initialised)),
    cases: ['connects and does its work'],
    says: /instead of connected/,
  },
  {
    what: 'never says that it is connected',
    wrong: (guest) => frontend(neverWrites(guest, connected)),
    cases: ['connects and does its work'],
    says: /instead of connected/,
  },
  {
    what: 'does not see what is new',
    wrong: (guest) => frontend(sleepy(guest, (n) => n === 0)),
    cases: ['finds devices that come while it runs, and goes on when one of them is unplugged'],
    says: /instead of connected/,
  },
  {
    what: 'never says that it is closed',
    wrong: (guest) => frontend(neverWrites(guest, closed)),
    cases: ['closes with the backend, and takes back what it gave'],
    says: /instead of closed/,
  },
  {
    what: 'keeps its pages',
    wrong: (guest) => frontend(leaking(guest, 'free')),
    cases: [
      'closes with the backend, and takes back what it gave',
      'takes back what it gave when the device disappears',
      'connects in the end to a backend whose state never rests',
    ],
    says: /still has \d+ pages/,
  },
  {
    what: 'keeps its ports',
    wrong: (guest) => frontend(leaking(guest, 'close')),
    cases: ['gives all back when it stops'],
    says: /still has \d+ ports/,
  },
  {
    what: 'does not see that the backend is dead',
    wrong: (guest) =>
      frontend(
        withStore(guest, {
          read: (path, value) => value ?? (isStateOf('backend', path) ? '4' : undefined),
        }),
      ),
    cases: ['survives the death of the backend’s domain, and goes on with the next one'],
    says: /still has 1 pages/,
  },
  {
    what: 'does not see that its device is made anew',
    wrong: (guest) => frontend(blindForBeginnings(guest)),
    cases: ['starts over with a device that the toolstack makes anew'],
    says: /instead of connected/,
  },
  {
    what: 'gives up when the backend begins anew',
    wrong: (guest) => frontend(impatient(guest)),
    cases: ['goes on with a backend that was restarted'],
    says: /instead of connected/,
  },
  {
    what: 'says nothing of errors',
    wrong: (guest) => frontend(silent(guest)),
    cases: ['closes or does without what it cannot understand, and goes on with others'],
    says: /there is no error node/,
  },
  {
    what: 'does not stop',
    wrong: (guest) => ({ ...frontend(guest), async stop() {} }),
    cases: ['gives all back when it stops'],
    says: /still has 1 pages/,
  },
];
