import type { Guest } from '@xenolith/guest-api';
import type { BackendDriver } from '../backend.js';
import type { FrontendDriver } from '../frontend.js';
import { type ServedDevices, serveBackends, serveFrontends } from '../serve.js';
import { parseState, stateName, XenbusState } from '../state.js';
import { addDevice, backendPath, type DeviceSpec, frontendPath } from '../toolstack.js';
import { Fabric, type FabricGuest, settle } from './fabric.js';

/** What a pair of drivers under test consists of. */
export interface DriverPair {
  /** Class of device: `vbd`, `vif`. */
  readonly type: string;
  /** A fresh backend on that guest. */
  backend(guest: Guest): BackendDriver;
  /** A fresh frontend on that guest, and something to do with its device, which rejects if that goes wrong. */
  frontend(guest: Guest): { driver: FrontendDriver; exercise(id: string): Promise<void> };
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
export const BACK = 2;

/** A toolstack, a backend's and a frontend's guest, and a pair of drivers. */
export class Rig {
  readonly fabric = new Fabric();
  readonly backGuest: FabricGuest;
  readonly frontGuest: FabricGuest;
  backends: ServedDevices;
  frontends: ServedDevices | undefined;
  private work: (id: string) => Promise<void> = async () => {};

  constructor(readonly pair: DriverPair) {
    this.backGuest = this.fabric.addGuest(BACK);
    this.frontGuest = this.fabric.addGuest(FRONT);
    this.backends = serveBackends(this.backGuest, pair.backend(this.backGuest));
  }

  /** A backend that was stopped starts again. */
  serveAgain(): void {
    this.backends = serveBackends(this.backGuest, this.pair.backend(this.backGuest));
  }

  spec(id = 1): DeviceSpec {
    const { type, backendNodes, frontendNodes } = this.pair;
    return {
      type,
      id,
      frontendId: FRONT,
      backendId: BACK,
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
    const { driver, exercise } = this.pair.frontend(this.frontGuest);
    this.work = exercise;
    this.frontends = serveFrontends(this.frontGuest, driver);
  }

  /** Uses a device. @throws what went wrong; also when nothing happens for long */
  async exercise(id: string): Promise<void> {
    const done = this.work(id).then(() => true);
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

  /** Names of the nodes that the frontend itself wrote. */
  frontNodes(id = 1): string[] {
    const made = new Set(['backend', 'backend-id', 'state', ...Object.keys(this.pair.frontendNodes ?? {})]);
    return this.fabric.store.list(frontendPath(this.spec(id))).filter((name) => !made.has(name));
  }

  /** @throws unless the backend holds nothing of the frontend's and no port */
  holdsNothing(): void {
    check(this.frontGuest.grantsInUse === 0, `the backend still uses ${this.frontGuest.grantsInUse} grants`);
    check(this.backGuest.openPorts === 0, `the backend still has ${this.backGuest.openPorts} ports`);
  }
}

export function check(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new Error(problem);
}
