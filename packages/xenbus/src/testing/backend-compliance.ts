import { XenbusState } from '../state.js';
import { backendPath, frontendPath, removeDevice, requestRemoval } from '../toolstack.js';
import { settle } from './fabric.js';
import { BAD_VALUES, type ComplianceCase, check, connectedRig, type DriverPair, FRONT, Rig } from './rig.js';

const { initialising, initWait, initialised, connected, closing, closed } = XenbusState;

/** The handshake as every backend has to keep it, whatever the frontend does (io/xenbus.h). */
export const backendCompliance: readonly ComplianceCase[] = [
  {
    name: 'waits for the frontend in InitWait',
    async run(pair) {
      const rig = new Rig(pair);
      await rig.plug();
      await rig.reach(initialising, initWait);
      rig.backHoldsNothing();
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
    name: 'serves several devices, and goes on when one of them is unplugged',
    async run(pair) {
      const rig = await connectedRig(pair, 4);
      for (const id of ['1', '2', '3', '4']) await rig.exercise(id);
      await requestRemoval(rig.toolstack, rig.spec(2));
      await rig.reach(closed, closed, 2);
      await removeDevice(rig.toolstack, rig.spec(2));
      await settle();
      for (const id of ['1', '3', '4']) await rig.exercise(id);
    },
  },
  {
    name: 'lets go when the frontend closes, and connects again',
    async run(pair) {
      const rig = await connectedRig(pair);
      await rig.frontends?.stop();
      rig.writeFront('state', String(closing));
      await rig.reachBack(closing);
      rig.backHoldsNothing();
      rig.writeFront('state', String(closed));
      await rig.reachBack(closed);
      await startsAgain(rig);
    },
  },
  {
    name: 'lets go of a frontend that is closed at once',
    async run(pair) {
      const rig = await connectedRig(pair);
      await rig.frontends?.stop();
      rig.writeFront('state', String(closed));
      await rig.reachBack(closed);
      rig.backHoldsNothing();
      await startsAgain(rig);
    },
  },
  {
    name: 'starts over with a frontend that crashed without a word',
    async run(pair) {
      const rig = await connectedRig(pair);
      for (let times = 0; times < 3; times++) {
        await rig.crashFrontend();
        await rig.reachBack(initWait);
        rig.backHoldsNothing();
        rig.startFrontend();
        await rig.reach(connected, connected);
        await rig.exercise('1');
      }
    },
  },
  {
    name: 'starts over with a device that the toolstack makes anew',
    async run(pair) {
      const rig = await connectedRig(pair);
      const nodes = rig.nodes('back').join();
      for (let times = 0; times < 3; times++) {
        await rig.plug();
        await rig.fabric.advance(1e6);
        await rig.reach(connected, connected);
        check(rig.nodes('back').join() === nodes, `there are only ${rig.nodes('back').join()}`);
        await rig.exercise('1');
      }
    },
  },
  {
    name: 'closes when it is unplugged',
    async run(pair) {
      const rig = await connectedRig(pair);
      await requestRemoval(rig.toolstack, rig.spec());
      await rig.reach(closed, closed);
      rig.backHoldsNothing();
      await removeDevice(rig.toolstack, rig.spec());
      await settle();
      rig.backHoldsNothing();
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
      rig.backHoldsNothing();
      check(
        rig.fabric.store.readIfExists(backendPath(rig.spec())) === undefined,
        'the backend makes its directory again after the toolstack has removed it',
      );
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
    name: 'refuses what it cannot understand, and goes on with others',
    async run(pair) {
      const names = (await connectedRig(pair)).nodes('front');
      check(names.length > 0, 'the frontend writes nothing into its directory');
      for (const name of names) for (const bad of [...BAD_VALUES, undefined]) await refuses(pair, name, bad);
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
      rig.backHoldsNothing();
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
      rig.backHoldsNothing();
    },
  },
];

/** A frontend that was closed begins anew. */
async function startsAgain(rig: Rig): Promise<void> {
  rig.writeFront('state', String(initialising));
  await rig.reachBack(initWait);
  rig.startFrontend();
  await rig.reach(connected, connected);
  await rig.exercise('1');
}

/** One node of device 1 is not what it should be, or missing: it may close or do without; device 2 works on. */
async function refuses(pair: DriverPair, name: string, bad: string | undefined): Promise<void> {
  const rig = await connectedRig(pair, 2);
  await rig.frontends?.stop();
  rig.writeFront('state', String(closed));
  await rig.reachBack(closed);
  rig.writeFront('state', String(initialising));
  await rig.reachBack(initWait);
  const path = `${frontendPath(rig.spec())}/${name}`;
  if (bad === undefined) rig.fabric.store.rm(path);
  else rig.fabric.store.write(path, bad);
  rig.writeFront('state', String(initialised));
  await rig.fabric.advance(1e8);
  const state = rig.state('back');
  const where = bad === undefined ? `without ${path}` : `with ${path} = ${JSON.stringify(bad)}`;
  check(state === closing || state === connected, `${where} the backend is in state ${state}`);
  if (state === closing) check(rig.error('back') !== undefined, `${where} there is no error node`);
  check(rig.state('back', 2) === connected, `${where} another device has suffered`);
  // Its kernel gives up, and the next one does not know what was before.
  await rig.crashFrontend();
  rig.writeFront('state', String(initialising), 2);
  for (const id of [1, 2]) await rig.reachBack(initWait, id);
  rig.startFrontend();
  for (const id of [1, 2]) await rig.reach(connected, connected, id);
  await rig.exercise('1');
}
