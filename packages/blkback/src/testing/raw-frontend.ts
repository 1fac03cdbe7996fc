import type { OwnPage } from '@xenolith/guest-api';
import type { Logger } from '@xenolith/host-interface';
import { FrontRing } from '@xenolith/shared-ring';
import { type x86_32, x86_64 } from '@xenolith/xen-abi';
import { addDevice, type DeviceSpec, serveBackends } from '@xenolith/xenbus';
import { Fabric, settle } from '@xenolith/xenbus/testing';
import { type BlockBackendOptions, blockBackend } from '../backend/block-backend.js';
import { type BlockRequest, decodeResponse, encodeRequest, slotSize } from '../codec/index.js';
import type { BlockDevice } from '../devices/block-device.js';
import { MemoryDevice } from '../devices/memory-device.js';

export const FRONT = 1;
export const BACK = 2;

/** What a test wants other than usual. */
interface SetUp {
  options?: Partial<BlockBackendOptions>;
  device?: BlockDevice;
  /** undefined: a node that is usually there is not. */
  nodes?: Record<string, string | number | undefined>;
  backendNodes?: Record<string, string | number>;
  abi?: typeof x86_64 | typeof x86_32;
  ringPages?: number;
}

/** A frontend that a test writes by hand: it may say whatever it likes. */
export async function rawFrontend(setUp: SetUp = {}) {
  const { abi = x86_64, ringPages = 1, device = new MemoryDevice(1 << 20) } = setUp;
  const fabric = new Fabric();
  const front = fabric.addGuest(FRONT);
  const back = fabric.addGuest(BACK);
  const log: string[] = [];
  const logger: Logger = { log: (level, _part, message) => void (level !== 'debug' && log.push(message)) };
  serveBackends(back, blockBackend(back, { open: async () => device, log: logger, ...setUp.options }), {
    log: logger,
  });
  const spec: DeviceSpec = {
    type: 'vbd',
    id: 51712,
    frontendId: FRONT,
    backendId: BACK,
    backend: { params: 'disk', mode: 'w', ...setUp.backendNodes },
    frontend: { 'virtual-device': 51712 },
  };
  await addDevice(fabric.toolstack, spec);
  await settle();
  const pages = Array.from({ length: ringPages }, () => front.memory.allocate()!);
  const refs = pages.map((page) => front.grants.grantAccess(BACK, page));
  const memory = joined(pages);
  const ring = new FrontRing(memory, { slotSize: slotSize(abi), bytes: ringPages * 4096 });
  const port = front.eventChannels.allocUnbound(BACK);
  const directory = `/local/domain/${FRONT}/device/vbd/51712`;
  const backDirectory = `/local/domain/${BACK}/backend/vbd/${FRONT}/51712`;
  const ringNodes: Record<string, number> =
    ringPages === 1
      ? { 'ring-ref': refs[0]! }
      : {
          'ring-page-order': Math.log2(ringPages),
          ...Object.fromEntries(refs.map((ref, i) => [`ring-ref${i}`, ref])),
        };
  const nodes = {
    ...ringNodes,
    'event-channel': port,
    protocol: abi.name === 'x86_32' ? 'x86_32-abi' : 'x86_64-abi',
    ...setUp.nodes,
  };
  for (const [name, value] of Object.entries(nodes))
    if (value !== undefined) fabric.store.write(`${directory}/${name}`, String(value));
  fabric.store.write(`${directory}/state`, '3');
  await settle();

  const responses: { id: bigint; status: number; operation: number }[] = [];
  const collect = () => {
    for (let slot = ring.take(); slot; slot = ring.take()) responses.push(decodeResponse(slot, abi));
    ring.finalCheck();
  };
  /** Puts requests in, lets time pass, and gives the responses that came. */
  const exchange = async (requests: readonly BlockRequest[]) => {
    for (const request of requests) ring.put(encodeRequest(request, 51712, abi));
    ring.push();
    front.eventChannels.send(port);
    await fabric.advance(10_000_000);
    collect();
    return responses.splice(0);
  };
  const buffer = (fill = 0) => {
    const page = front.memory.allocate()!;
    page.write(0, new Uint8Array(4096).fill(fill));
    return { page, ref: front.grants.grantAccess(BACK, page) };
  };
  const state = () => fabric.store.readIfExists(`${backDirectory}/state`);
  return {
    fabric,
    front,
    back,
    device,
    memory,
    ring,
    port,
    exchange,
    buffer,
    state,
    log,
    directory,
    backDirectory,
    spec,
  };
}

function joined(pages: readonly OwnPage[]) {
  const at = (offset: number) => [pages[Math.floor(offset / 4096)]!, offset % 4096] as const;
  return {
    readU32: (offset: number) => at(offset)[0].readU32(at(offset)[1]),
    writeU32: (offset: number, value: number) => at(offset)[0].writeU32(at(offset)[1], value),
    read: (offset: number, length: number) =>
      Uint8Array.from({ length }, (_, i) => at(offset + i)[0].readU8(at(offset + i)[1])),
    write(offset: number, data: Uint8Array) {
      for (const [i, byte] of data.entries()) at(offset + i)[0].writeU8(at(offset + i)[1], byte);
    },
  };
}

/** A read or write of one page's sectors. */
export const transfer = (
  kind: 'read' | 'write' | 'barrier',
  sector: number,
  ref: number,
  id = 1n,
): BlockRequest => ({
  kind,
  id,
  sector: BigInt(sector),
  segments: [{ ref, first: 0, last: 7 }],
  claimed: 1,
});
