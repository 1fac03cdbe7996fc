import { addDevice, removeDevice, requestRemoval, XenbusState } from '@xenolith/xenbus';
import fc from 'fast-check';
import { it } from 'vitest';
import { connectedRig } from '../src/testing/rig.js';
import { backend } from './wrong-backends.js';
import { frontend } from './wrong-frontends.js';

/** What may happen to device 1, while device 2 is at work. */
type Step =
  | { act: 'state'; value: string }
  | { act: 'node'; name: string; value: string }
  | { act: 'wait' | 'unplug' | 'remove' | 'plug' | 'crash' | 'start' | 'restart the backend' };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    act: fc.constant('state' as const),
    value: fc.oneof(fc.nat(9).map(String), fc.string({ maxLength: 3 })),
  }),
  fc.record({
    act: fc.constant('node' as const),
    name: fc.constantFrom('page-ref', 'event-channel', 'x'),
    value: fc.oneof(fc.nat(12).map(String), fc.string({ maxLength: 12 })),
  }),
  fc.record({
    act: fc.constantFrom(
      'wait' as const,
      'wait' as const,
      'unplug' as const,
      'remove' as const,
      'plug' as const,
      'crash' as const,
      'start' as const,
      'restart the backend' as const,
    ),
  }),
);

async function survives(steps: readonly Step[]): Promise<void> {
  const rig = await connectedRig({ type: 'vrng', backend, frontend }, 1);
  const { fabric, toolstack } = rig;
  // Another guest, whose device has the same backend.
  const other = fabric.addGuest(9);
  const neighbour = frontend(other);
  await addDevice(toolstack, { ...rig.spec(), frontendId: 9 });
  const work = async () => {
    const done = neighbour.exercise('1');
    await fabric.advance(1e8);
    await done;
  };
  await fabric.advance(1e6);
  await work();
  let isPlugged = true;
  for (const each of steps) {
    if (each.act === 'unplug' || each.act === 'remove') isPlugged = false;
    if (each.act === 'plug') isPlugged = true;
    if (each.act === 'state') rig.writeFront('state', each.value);
    else if (each.act === 'node') rig.writeFront(each.name, each.value);
    else if (each.act === 'wait') await fabric.advance(1e6);
    else if (each.act === 'unplug') await requestRemoval(toolstack, rig.spec());
    else if (each.act === 'remove') await removeDevice(toolstack, rig.spec());
    else if (each.act === 'plug') await addDevice(toolstack, rig.spec());
    else if (each.act === 'start') {
      await rig.frontends?.stop();
      rig.startFrontend();
    } else if (each.act === 'crash') {
      await rig.frontends?.stop();
      rig.frontGuest.crash();
    } else {
      await rig.backends.stop();
      rig.serveAgain();
      await fabric.advance(1e6);
    }
  }
  await fabric.advance(1e6);
  await work();
  // Whatever has been: a new kernel in the domain can use the device, or a new one if it was unplugged.
  await rig.crashFrontend();
  if (!isPlugged) {
    await removeDevice(toolstack, rig.spec());
    await fabric.advance(1e6);
    await rig.plug();
  }
  await rig.reachBack(XenbusState.initWait);
  rig.startFrontend();
  await rig.reach(XenbusState.connected, XenbusState.connected);
  await rig.exercise('1');
  await rig.backends.stop();
  rig.backHoldsNothing();
}

it('whatever a frontend and its toolstack do, others are served, and it may begin anew', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 25 }), survives), { numRuns: 60 });
});
