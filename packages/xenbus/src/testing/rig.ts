import type { Guest } from '@xenolith/guest-api';
import type { ServedDevices } from '../serve.js';
import { parseState, stateName, XenbusState } from '../state.js';
import { addDevice, backendPath, type DeviceSpec, frontendPath } from '../toolstack.js';
import { Fabric, type FabricGuest, settle } from './fabric.js';

/** A frontend at work, and something to do with its devices. */
export interface ServedFrontends extends ServedDevices {
  /** Uses the device of that number; rejects if that goes wrong. */
  exercise(id: string): Promise<void>;
}

/**
 * A backend and a frontend of one kind of device. They may be written with `serveBackends` and `serveFrontends` or
 * without: they see nothing but their guest. The one that is not under test is any that works.
 */
export interface DriverPair {
  /** Class of device: `vbd`, `vif`. */
  readonly type: string;
  /** Starts a backend for all devices of the type whose backend that guest is. */
  backend(guest: Guest): ServedDevices;
  /** Starts a frontend for all devices of the type whose frontend that guest is. */
  frontend(guest: Guest): ServedFrontends;
  /** What the toolstack writes for each end. */
  readonly backendNodes?: Readonly<Record<string, string | number>>;
  readonly frontendNodes?: Readonly<Record<string, string | number>>;
}

/** One case of a compliance suite. `run` rejects, with a message that says what is wrong, if the drivers fail it. */
export interface ComplianceCase {
  readonly name: string;
  run(pair: DriverPair): Promise<void>;
}

export const FRONT = 1;
const BACK = 2;

/** A toolstack, a backend's and a frontend's guest, and a pair of drivers. */
export class Rig {
  readonly fabric = new Fabric();
  backGuest: FabricGuest;
  readonly frontGuest: FabricGuest;
  backends: ServedDevices;
  frontends: ServedFrontends | undefined;

  constructor(readonly pair: DriverPair) {
    this.backGuest = this.fabric.addGuest(BACK);
    this.frontGuest = this.fabric.addGuest(FRONT);
    this.backends = pair.backend(this.backGuest);
  }

  /** A backend that was stopped starts again. */
  serveAgain(): void {
    this.backends = this.pair.backend(this.backGuest);
  }

  /** The backend's domain dies, and the toolstack removes what was its. Its code is left as it is. */
  killBackend(): void {
    const { domid } = this.backGuest;
    this.fabric.removeGuest(domid);
    this.fabric.store.rm(`/local/domain/${domid}`);
  }

  /** Another domain takes its place. */
  replaceBackend(): void {
    this.backGuest = this.fabric.addGuest(this.backGuest.domid + 1);
    this.serveAgain();
  }

  spec(id = 1): DeviceSpec {
    const { type, backendNodes, frontendNodes } = this.pair;
    return {
      type,
      id,
      frontendId: FRONT,
      backendId: this.backGuest.domid,
      ...(backendNodes && { backend: backendNodes }),
      ...(frontendNodes && { frontend: frontendNodes }),
    };
  }

  async plug(id = 1): Promise<void> {
    await addDevice(this.toolstack, this.spec(id));
    await settle();
  }

  /** Starts the frontend's drivers. */
  startFrontend(): void {
    this.frontends = this.pair.frontend(this.frontGuest);
  }

  /** Uses a device. @throws what went wrong; also when nothing happens for long */
  async exercise(id: string): Promise<void> {
    check(this.frontends !== undefined, 'the frontend is not there');
    const done = this.frontends.exercise(id).then(() => true);
    for (let tries = 0; tries < 1000; tries++) {
      if (await Promise.race([done, this.fabric.advance(1_000_000).then(() => false)])) return;
    }
    throw new Error(`the work with device ${id} does not come to an end`);
  }

  /** The frontend's kernel is gone, and another one starts in the same domain. Its drivers say no word. */
  async crashFrontend(): Promise<void> {
    await this.frontends?.stop();
    this.frontGuest.crash();
    this.writeFront('state', String(XenbusState.initialising));
  }

  get toolstack() {
    return this.fabric.toolstack;
  }

  state(end: 'front' | 'back', id = 1): XenbusState {
    const path = (end === 'front' ? frontendPath : backendPath)(this.spec(id));
    return parseState(this.fabric.store.readIfExists(`${path}/state`));
  }

  /** What an end says has gone wrong, in its error node. */
  error(end: 'front' | 'back', id = 1): string | undefined {
    const path = (end === 'front' ? frontendPath : backendPath)(this.spec(id));
    const [, , , domid, ...device] = path.split('/');
    return this.fabric.store.readIfExists(`/local/domain/${domid}/error/${device.join('/')}/error`);
  }

  writeFront(name: string, value: string, id = 1): void {
    this.fabric.store.write(`${frontendPath(this.spec(id))}/${name}`, value);
  }

  /** Waits for states of both ends. @throws when they do not come */
  async reach(front: XenbusState, back: XenbusState, id = 1): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      if (this.state('front', id) === front && this.state('back', id) === back) return;
      await this.fabric.advance(1_000_000);
    }
    const is = `${stateName(this.state('front', id))} and ${stateName(this.state('back', id))}`;
    const wanted = `${stateName(front)} and ${stateName(back)}`;
    throw new Error(`frontend and backend of device ${id} are ${is} instead of ${wanted}`);
  }

  /** Waits for the backend alone. */
  async reachBack(back: XenbusState, id = 1): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      if (this.state('back', id) === back) return;
      await this.fabric.advance(1_000_000);
    }
    throw new Error(
      `the backend of device ${id} is ${stateName(this.state('back', id))} instead of ${stateName(back)}`,
    );
  }

  /** Names of the nodes that an end itself wrote. */
  nodes(end: 'front' | 'back', id = 1): string[] {
    const { frontendNodes = {}, backendNodes = {} } = this.pair;
    const made =
      end === 'front'
        ? ['backend', 'backend-id', ...Object.keys(frontendNodes)]
        : ['frontend', 'frontend-id', 'online', ...Object.keys(backendNodes)];
    const path = (end === 'front' ? frontendPath : backendPath)(this.spec(id));
    return this.fabric.store.list(path).filter((name) => name !== 'state' && !made.includes(name));
  }

  /** @throws unless the backend holds nothing of the frontend's and no port */
  backHoldsNothing(): void {
    const { grantsInUse } = this.frontGuest;
    check(grantsInUse === 0, `the backend still uses ${grantsInUse} grants`);
    check(this.backGuest.openPorts === 0, `the backend still has ${this.backGuest.openPorts} ports`);
  }

  /** Waits for what takes time. @throws unless the frontend has all its pages and ports back */
  async frontHoldsNothing(): Promise<void> {
    await this.fabric.advance(1e9);
    const { pagesInUse, openPorts } = this.frontGuest;
    check(pagesInUse === 0, `the frontend still has ${pagesInUse} pages in use`);
    check(openPorts === 0, `the frontend still has ${openPorts} ports`);
  }
}

/** Values that no node of a device should have. */
export const BAD_VALUES = ['', 'x', '-1', '4294967295', '99999999999999999999', '1'.repeat(1000)];

export async function connectedRig(pair: DriverPair, devices = 1): Promise<Rig> {
  const rig = new Rig(pair);
  for (let id = 1; id <= devices; id++) await rig.plug(id);
  rig.startFrontend();
  for (let id = 1; id <= devices; id++) await rig.reach(XenbusState.connected, XenbusState.connected, id);
  return rig;
}

export function check(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new Error(problem);
}
