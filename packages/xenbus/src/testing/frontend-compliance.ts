import { XenbusState } from '../state.js';
import { backendPath, removeDevice, requestRemoval } from '../toolstack.js';
import { BAD_VALUES, type ComplianceCase, check, connectedRig, type DriverPair, Rig } from './rig.js';

const { initialising, initWait, connected, closing, closed } = XenbusState;

/** The handshake as every frontend has to keep it, whatever the backend does (io/xenbus.h). */
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
      check(rig.nodes('front').length === 0, `it has written ${rig.nodes('front').join(', ')}`);
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
    name: 'finds devices that come while it runs, and goes on when one of them is unplugged',
    async run(pair) {
      const rig = new Rig(pair);
      rig.startFrontend();
      for (const id of [1, 2, 3]) {
        await rig.plug(id);
        await rig.reach(connected, connected, id);
      }
      await requestRemoval(rig.toolstack, rig.spec(2));
      await rig.reach(closed, closed, 2);
      await removeDevice(rig.toolstack, rig.spec(2));
      for (const id of ['1', '3']) await rig.exercise(id);
      await rig.plug(2);
      await rig.reach(connected, connected, 2);
      await rig.exercise('2');
    },
  },
  {
    name: 'closes with the backend, and takes back what it gave',
    async run(pair) {
      const rig = await connectedRig(pair);
      await requestRemoval(rig.toolstack, rig.spec());
      await rig.reach(closed, closed);
      await rig.frontHoldsNothing();
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
    name: 'survives the death of the backend’s domain, and goes on with the next one',
    async run(pair) {
      const rig = await connectedRig(pair);
      void rig.exercise('1').catch(() => {});
      rig.killBackend();
      await rig.frontHoldsNothing();
      await removeDevice(rig.toolstack, rig.spec());
      rig.replaceBackend();
      await rig.plug();
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
      await rig.frontHoldsNothing();
    },
  },
  {
    name: 'closes or does without what it cannot understand, and goes on with others',
    async run(pair) {
      const names = (await connectedRig(pair)).nodes('back');
      for (const name of names) for (const bad of [...BAD_VALUES, undefined]) await endures(pair, name, bad);
    },
  },
  {
    name: 'connects in the end to a backend whose state never rests',
    async run(pair) {
      const rig = new Rig(pair);
      await rig.backends.stop();
      await rig.plug();
      rig.startFrontend();
      const state = `${backendPath(rig.spec())}/state`;
      for (let i = 0; i < 300; i++) {
        rig.fabric.store.write(state, String(i % 9));
        if (i % 7 === 0) await rig.fabric.advance(1000);
      }
      rig.fabric.store.write(state, String(closing));
      await rig.fabric.advance(1e6);
      rig.fabric.store.write(state, String(closed));
      await rig.frontHoldsNothing();
      await rig.plug();
      rig.serveAgain();
      await rig.reach(connected, connected);
      await rig.exercise('1');
    },
  },
  {
    name: 'gives all back when it stops',
    async run(pair) {
      const rig = await connectedRig(pair);
      await rig.frontends?.stop();
      // It has pages back when nobody maps them any more.
      await rig.backends.stop();
      await rig.frontHoldsNothing();
    },
  },
];

/** One node of device 1's backend is not what it should be, or missing; device 2 works on. */
async function endures(pair: DriverPair, name: string, bad: string | undefined): Promise<void> {
  const rig = new Rig(pair);
  for (const id of [1, 2]) await rig.plug(id);
  await rig.reachBack(initWait);
  const path = `${backendPath(rig.spec())}/${name}`;
  if (bad !== undefined) rig.fabric.store.write(path, bad);
  else if (rig.fabric.store.readIfExists(path) !== undefined) rig.fabric.store.rm(path);
  rig.startFrontend();
  await rig.reach(connected, connected, 2);
  await rig.fabric.advance(1e8);
  const state = rig.state('front');
  const where = bad === undefined ? `without ${path}` : `with ${path} = ${JSON.stringify(bad)}`;
  check(
    [connected, closing, closed].some((it) => it === state),
    `${where} the frontend is in state ${state}`,
  );
  if (state !== connected) check(rig.error('front') !== undefined, `${where} there is no error node`);
  await rig.exercise('2');
  await requestRemoval(rig.toolstack, rig.spec());
  await removeDevice(rig.toolstack, rig.spec(2));
  await rig.frontHoldsNothing();
}
