import { XenbusState } from '../state.js';
import { backendPath, frontendPath, removeDevice, requestRemoval } from '../toolstack.js';
import { settle } from './fabric.js';
import { BACK, type ComplianceCase, check, type DriverPair, FRONT, Rig } from './rig.js';

const { initialising, initWait, connected, closing, closed } = XenbusState;

async function connectedRig(pair: DriverPair): Promise<Rig> {
  const rig = new Rig(pair);
  await rig.plug();
  rig.startFrontend();
  await rig.reach(connected, connected);
  return rig;
}

/** The handshake as every backend has to keep it, whatever the frontend does (io/xenbus.h). */
export const backendCompliance: readonly ComplianceCase[] = [
  {
    name: 'waits for the frontend in InitWait',
    async run(pair) {
      const rig = new Rig(pair);
      await rig.plug();
      await rig.reach(initialising, initWait);
      rig.holdsNothing();
    },
  },
  {
    name: 'connects and does its work',
    async run(pair) {
      const rig = await connectedRig(pair);
      await rig.exercise('1');
    },
  },
  {
    name: 'finds devices that were there before it',
    async run(pair) {
      const rig = new Rig(pair);
      await rig.backends.stop();
      await rig.plug();
      rig.startFrontend();
      check(rig.state('back') === initialising, 'nobody serves and yet the state changes');
      rig.serveAgain();
      await rig.reach(connected, connected);
      await rig.exercise('1');
    },
  },
  {
    name: 'lets go when the frontend closes, and connects again',
    async run(pair) {
      const rig = await connectedRig(pair);
      await rig.frontends?.stop();
      rig.writeFront('state', String(closing));
      await rig.reachBack(closing);
      rig.holdsNothing();
      rig.writeFront('state', String(closed));
      await rig.reachBack(closed);
      rig.writeFront('state', String(initialising));
      await rig.reachBack(initWait);
      rig.startFrontend();
      await rig.reach(connected, connected);
      await rig.exercise('1');
    },
  },
  {
    name: 'starts over with a frontend that crashed without a word',
    async run(pair) {
      const rig = await connectedRig(pair);
      await rig.crashFrontend();
      await rig.reachBack(initWait);
      rig.holdsNothing();
      rig.startFrontend();
      await rig.reach(connected, connected);
      await rig.exercise('1');
    },
  },
  {
    name: 'closes when it is unplugged',
    async run(pair) {
      const rig = await connectedRig(pair);
      await requestRemoval(rig.toolstack, rig.spec());
      await rig.reach(closed, closed);
      rig.holdsNothing();
      await removeDevice(rig.toolstack, rig.spec());
      await settle();
      rig.holdsNothing();
    },
  },
  {
    name: 'closes when it is unplugged before any frontend came',
    async run(pair) {
      const rig = new Rig(pair);
      await rig.plug();
      await rig.reachBack(initWait);
      await requestRemoval(rig.toolstack, rig.spec());
      await rig.reachBack(closed);
    },
  },
  {
    name: 'lets go when its directory is removed, and serves a new device of the same number',
    async run(pair) {
      const rig = await connectedRig(pair);
      await rig.frontends?.stop();
      await removeDevice(rig.toolstack, rig.spec());
      await rig.fabric.advance(1e9);
      rig.holdsNothing();
      await rig.plug();
      rig.startFrontend();
      await rig.reach(connected, connected);
      await rig.exercise('1');
    },
  },
  {
    name: 'survives the death of the frontend’s domain',
    async run(pair) {
      const rig = await connectedRig(pair);
      void rig.exercise('1').catch(() => {});
      await rig.frontends?.stop();
      rig.fabric.removeGuest(FRONT);
      rig.fabric.store.rm(`/local/domain/${FRONT}`);
      await rig.fabric.advance(1e9);
      rig.fabric.store.rm(backendPath(rig.spec()));
      await rig.fabric.advance(1e9);
      check(rig.backGuest.openPorts === 0, `the backend still has ${rig.backGuest.openPorts} ports`);
    },
  },
  {
    name: 'refuses what it cannot understand, says why, and goes on with others',
    async run(pair) {
      const sample = await connectedRig(pair);
      const names = sample.frontNodes();
      check(names.length > 0, 'the frontend writes nothing into its directory');
      for (const name of names) {
        for (const bad of ['', 'x', '-1', '4294967295', '99999999999999999999', '1'.repeat(1000)]) {
          await refuses(pair, name, bad);
        }
      }
    },
  },
  {
    name: 'connects in the end to a frontend whose state never rests',
    async run(pair) {
      const rig = new Rig(pair);
      await rig.plug();
      for (let i = 0; i < 300; i++) rig.writeFront('state', String(i % 9));
      for (const state of [closing, closed, initialising]) {
        rig.writeFront('state', String(state));
        await rig.fabric.advance(1_000_000);
      }
      await rig.reachBack(initWait);
      rig.holdsNothing();
      rig.startFrontend();
      await rig.reach(connected, connected);
      await rig.exercise('1');
    },
  },
  {
    name: 'gives all back when it stops',
    async run(pair) {
      const rig = await connectedRig(pair);
      await rig.backends.stop();
      await settle();
      rig.holdsNothing();
    },
  },
];

/** One node of device 1 is not what it should be: device 1 may close or do without it, device 2 works on. */
async function refuses(pair: DriverPair, name: string, bad: string): Promise<void> {
  const rig = new Rig(pair);
  await rig.plug(1);
  await rig.plug(2);
  rig.startFrontend();
  await rig.reach(connected, connected, 1);
  await rig.reach(connected, connected, 2);
  await rig.frontends?.stop();
  rig.writeFront('state', String(closed));
  await rig.reachBack(closed);
  rig.writeFront('state', String(initialising));
  await rig.reachBack(initWait);
  rig.writeFront(name, bad);
  rig.writeFront('state', String(XenbusState.initialised));
  await rig.fabric.advance(1e8);
  const state = rig.state('back');
  const where = `${frontendPath(rig.spec())}/${name} = ${JSON.stringify(bad)}`;
  check(state === closing || state === connected, `with ${where} the backend is in state ${state}`);
  if (state === closing) {
    const error = rig.fabric.store.readIfExists(
      `/local/domain/${BACK}/error/${backendPath(rig.spec()).split('/').slice(4).join('/')}/error`,
    );
    check(error !== undefined, `with ${where} there is no error node`);
  }
  check(rig.state('back', 2) === connected, `with ${where} another device has suffered`);
}

/** The handshake as every frontend has to keep it. */
export const frontendCompliance: readonly ComplianceCase[] = [
  {
    name: 'offers nothing before the backend waits for it',
    async run(pair) {
      const rig = new Rig(pair);
      await rig.backends.stop();
      await rig.plug();
      rig.startFrontend();
      await rig.fabric.advance(1e9);
      check(rig.state('front') === initialising, `the frontend is in state ${rig.state('front')}`);
      check(rig.frontNodes().length === 0, `it has written ${rig.frontNodes().join(', ')}`);
    },
  },
  {
    name: 'connects and does its work',
    async run(pair) {
      const rig = await connectedRig(pair);
      await rig.exercise('1');
    },
  },
  {
    name: 'closes with the backend, and takes back what it gave',
    async run(pair) {
      const rig = await connectedRig(pair);
      await requestRemoval(rig.toolstack, rig.spec());
      await rig.reach(closed, closed);
      await rig.fabric.advance(1e9);
      check(rig.frontGuest.pagesInUse === 0, `${rig.frontGuest.pagesInUse} pages are still in use`);
      check(rig.frontGuest.openPorts === 0, `${rig.frontGuest.openPorts} ports are still open`);
    },
  },
  {
    name: 'goes on with a backend that was restarted',
    async run(pair) {
      const rig = await connectedRig(pair);
      await rig.backends.stop();
      rig.fabric.store.write(`${backendPath(rig.spec())}/state`, String(initialising));
      rig.serveAgain();
      await rig.reach(connected, connected);
      await rig.exercise('1');
    },
  },
  {
    name: 'starts over with a device that the toolstack makes anew',
    async run(pair) {
      const rig = await connectedRig(pair);
      await rig.backends.stop();
      await rig.plug();
      await rig.fabric.advance(1e9);
      check(rig.state('front') === initialising, `the frontend is in state ${rig.state('front')}`);
      rig.serveAgain();
      await rig.reach(connected, connected);
      await rig.exercise('1');
    },
  },
  {
    name: 'takes back what it gave when the device disappears',
    async run(pair) {
      const rig = await connectedRig(pair);
      await rig.backends.stop();
      await removeDevice(rig.toolstack, rig.spec());
      await rig.fabric.advance(1e9);
      check(rig.frontGuest.pagesInUse === 0, `${rig.frontGuest.pagesInUse} pages are still in use`);
      check(rig.frontGuest.openPorts === 0, `${rig.frontGuest.openPorts} ports are still open`);
    },
  },
];
