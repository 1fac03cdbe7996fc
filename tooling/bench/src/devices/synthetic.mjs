import { createHost, createNativeGuest } from '@xenolith/host';
import { addDevice, XenbusState } from '@xenolith/xenbus';
import { connectInMemory, XenstoreClient } from '@xenolith/xenstore';

/** @typedef {import('@xenolith/guest-api').Guest} Guest */

export const FRONT = 1;
export const BACK = 2;

/**
 * A host without processors that run: two guests in TypeScript with real grants, event channels and a real xenstore. The
 * frontend of the benchmark lives in one, a backend in the other.
 */
export class SyntheticHost {
  /** @param {import('@xenolith/host').Host} host */
  constructor(host) {
    this.hypervisor = host.hypervisor;
    const { server } = host.xenstore;
    const guest = (/** @type {number} */ domid) => {
      const native = createNativeGuest(host.hypervisor, { domid });
      const path = `/local/domain/${domid}`;
      host.xenstore.local.write(path, '');
      host.xenstore.local.setPermissions(path, [{ domid, access: 'n' }]);
      return { ...native, xenstore: new XenstoreClient(connectInMemory(server, domid)) };
    };
    /** @type {Guest} */
    this.front = guest(FRONT);
    /** @type {Guest} */
    this.back = guest(BACK);
    this.toolstack = new XenstoreClient(connectInMemory(server));
  }

  static async create() {
    return new SyntheticHost(await createHost({ memoryMiB: 16 }));
  }

  /** Lets events and promises go on until `condition` holds. @param {() => Promise<boolean>} condition */
  async until(condition) {
    for (let turn = 0; ; turn++) {
      const met = condition();
      let settled = false;
      void met.finally(() => {
        settled = true;
      });
      while (!settled) {
        this.hypervisor.run(1);
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (await met) return;
      if (turn === 1000) throw new Error('the two ends of the device do not come together');
    }
  }

  /**
   * Makes a device, with a frontend that says `nodes` and is connected at once.
   * @param {string} type @param {number} id @param {Record<string, string | number>} nodes
   * @param {Record<string, string | number>} backend what the toolstack tells the backend
   */
  async connect(type, id, nodes, backend) {
    const front = `/local/domain/${FRONT}/device/${type}/${id}`;
    const back = `/local/domain/${BACK}/backend/${type}/${FRONT}/${id}`;
    const state = (/** @type {number} */ wanted) =>
      this.until(async () => (await this.toolstack.read(`${back}/state`)) === String(wanted));
    const spec = { type, id, frontendId: FRONT, backendId: BACK, backend, frontend: {} };
    await this.during(addDevice(this.toolstack, spec));
    await state(XenbusState.initWait);
    await this.during(
      (async () => {
        for (const [name, value] of Object.entries(nodes))
          await this.toolstack.write(`${front}/${name}`, `${value}`);
        // What a frontend says once it has everything in place.
        await this.toolstack.write(`${front}/state`, `${XenbusState.connected}`);
      })(),
    );
    await state(XenbusState.connected);
  }

  /** @param {Promise<unknown>} work */
  async during(work) {
    await this.until(() => work.then(() => true));
  }

  /** Has deferred events handled, and says how many seconds that took. @param {() => void} cause of them */
  timed(cause) {
    const start = performance.now();
    cause();
    this.hypervisor.run(1);
    return (performance.now() - start) / 1000;
  }
}
