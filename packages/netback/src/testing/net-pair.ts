import type { Guest } from '@xenolith/guest-api';
import { serveBackends, serveFrontends } from '@xenolith/xenbus';
import type { DriverPair } from '@xenolith/xenbus/testing';
import { netBackend } from '../backend/net-backend.js';
import type { NetBackendOptions } from '../backend/options.js';
import type { Frame } from '../frame/frame.js';
import { type FrontInterface, type NetFrontendOptions, netFrontend } from '../frontend/net-frontend.js';
import type { FrameReceiver, NetworkPort } from '../ports/network-port.js';

/** A port that sends back what it gets. */
export function echoPort(): NetworkPort {
  let receiver: FrameReceiver | undefined;
  return {
    send: (frame) => receiver?.(frame),
    connect: (to) => {
      receiver = to;
    },
  };
}

/** Any frame, of `length` bytes, to all. */
export function someFrame(length: number, seed = 0): Frame {
  const data = Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff);
  data.fill(0xff, 0, 6);
  data.set([0x00, 0x16, 0x3e, 0, 0, 1, 0x88, 0xb5], 6);
  return { data };
}

/** Backend and frontend of this package as the compliance suite takes them. */
export function netPair(
  options: Partial<NetBackendOptions> = {},
  frontOptions: NetFrontendOptions = {},
): DriverPair {
  return {
    type: 'vif',
    backendNodes: { bridge: 'xenbr0', mac: '00:16:3e:00:00:01' },
    frontendNodes: { mac: '00:16:3e:00:00:01', handle: 0 },
    backend: (guest: Guest) =>
      serveBackends(guest, netBackend(guest, { open: async () => echoPort(), ...options })),
    frontend(guest: Guest) {
      const networks = new Map<string, FrontInterface>();
      const served = serveFrontends(
        guest,
        netFrontend(
          guest,
          (id, network) => (network ? networks.set(id, network) : networks.delete(id)),
          frontOptions,
        ),
      );
      return {
        stop: () => served.stop(),
        async exercise(id) {
          const network = networks.get(id);
          if (!network) throw new Error(`interface ${id} is not there`);
          for (const length of [60, 1514, 9000]) {
            const frame = someFrame(length);
            const back = await new Promise<Frame>((resolve) => {
              network.connect(resolve);
              if (!network.send(frame)) throw new Error(`interface ${id} takes no frame`);
            });
            if (!back.data.every((byte, i) => byte === frame.data[i]) || back.data.length !== length)
              throw new Error(`interface ${id} has changed a frame of ${length} bytes`);
          }
        },
      };
    },
  };
}
