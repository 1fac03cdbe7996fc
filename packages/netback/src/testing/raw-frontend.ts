import type { Logger } from '@xenolith/host-interface';
import { addDevice, type DeviceSpec, serveBackends } from '@xenolith/xenbus';
import { Fabric, type FabricGuest, settle } from '@xenolith/xenbus/testing';
import { netBackend } from '../backend/net-backend.js';
import type { NetBackendOptions } from '../backend/options.js';
import { noTraffic } from '../backend/statistics.js';
import * as codec from '../codec/index.js';
import type { Frame } from '../frame/frame.js';
import type { FrameReceiver } from '../ports/network-port.js';
import { echoPort } from './net-pair.js';
import { grantedRing, RawQueue } from './raw-queue.js';

export const FRONT = 1;
export const BACK = 2;
/** What a frontend says that can do everything. */
export const ALL = {
  'request-rx-copy': 1,
  'feature-rx-notify': 1,
  'feature-sg': 1,
  'feature-gso-tcpv4': 1,
  'feature-gso-tcpv6': 1,
  'feature-ipv6-csum-offload': 1,
};

/** What a test wants other than usual. */
interface SetUp {
  options?: Partial<NetBackendOptions>;
  /** Instead of `ALL`. */
  nodes?: Record<string, string | number>;
  /** Nodes that it does not write. */
  without?: readonly string[];
  backendNodes?: Record<string, string | number>;
  queues?: number;
  split?: boolean;
  control?: boolean;
  /** Does something to the backend's guest first. */
  prepare?(back: FabricGuest): void;
}

export type RawFrontend = Awaited<ReturnType<typeof rawFrontend>>;

/** A frontend that a test writes by hand, and the port behind its backend. */
export async function rawFrontend(setUp: SetUp = {}) {
  const { options, nodes = ALL, backendNodes, queues = 1, split = false, control = false } = setUp;
  const fabric = new Fabric();
  const front = fabric.addGuest(FRONT);
  const back = fabric.addGuest(BACK);
  setUp.prepare?.(back);
  const log: string[] = [];
  const logger: Logger = { log: (level, _part, message) => level !== 'debug' && log.push(message) };
  const behind = new TestPort();
  const statistics = noTraffic();
  serveBackends(
    back,
    netBackend(back, {
      open: async (end) => (end.otherId === FRONT ? behind : echoPort()),
      statistics: (end) => (end.otherId === FRONT ? statistics : noTraffic()),
      log: logger,
      ...options,
    }),
    { log: logger },
  );
  const spec: DeviceSpec = {
    type: 'vif',
    id: 0,
    frontendId: FRONT,
    backendId: BACK,
    backend: { ...backendNodes },
  };
  await addDevice(fabric.toolstack, spec);
  await settle();
  const directory = `/local/domain/${FRONT}/device/vif/0`;
  const backDirectory = `/local/domain/${BACK}/backend/vif/${FRONT}/0`;
  const write = (values: Record<string, string | number>) => {
    for (const [name, value] of Object.entries(values))
      fabric.store.write(`${directory}/${name}`, String(value));
  };
  const pairs = Array.from({ length: queues }, () => new RawQueue(front, BACK, { split }));
  for (const [i, pair] of pairs.entries()) write(queueNodes(pair, queues > 1 ? `queue-${i}/` : '', split));
  if (queues > 1) write({ 'multi-queue-num-queues': queues });
  const ctrl = new RawControl(front);
  if (control) write({ 'ctrl-ring-ref': ctrl.ring.ref, 'event-channel-ctrl': ctrl.port });
  write(nodes);
  for (const name of setUp.without ?? []) fabric.store.rm(`${directory}/${name}`);
  write({ state: 4 });
  await settle();
  return {
    fabric,
    front,
    back,
    log,
    statistics,
    /** The first queue. */
    queue: pairs[0]!,
    queues: pairs,
    control: ctrl,
    /** What the backend has sent into its port. */
    sent: behind.sent,
    /** A frame comes out of the port. */
    arrive: (frame: Frame) => behind.receiver?.(frame),
    isUp: () => behind.receiver !== undefined,
    state: () => fabric.store.readIfExists(`${backDirectory}/state`),
    error: () => fabric.store.readIfExists(`/local/domain/${BACK}/error/backend/vif/${FRONT}/0/error`),
    write,
    directory,
    backDirectory,
  };
}

function queueNodes({ tx, rx, txPort, rxPort }: RawQueue, prefix: string, split: boolean) {
  return {
    [`${prefix}tx-ring-ref`]: tx.ref,
    [`${prefix}rx-ring-ref`]: rx.ref,
    ...(split
      ? { [`${prefix}event-channel-tx`]: txPort, [`${prefix}event-channel-rx`]: rxPort }
      : { [`${prefix}event-channel`]: txPort }),
  };
}

/** A port in the hands of a test. */
class TestPort {
  readonly sent: Frame[] = [];
  receiver: FrameReceiver | undefined;

  send(frame: Frame): void {
    this.sent.push(frame);
  }

  connect(receiver: FrameReceiver | undefined): void {
    this.receiver = receiver;
  }
}

class RawControl {
  readonly ring: ReturnType<typeof grantedRing>;
  readonly port: number;

  constructor(private readonly front: FabricGuest) {
    this.ring = grantedRing(front, BACK, codec.CONTROL_SLOT_SIZE);
    this.port = front.eventChannels.allocUnbound(BACK);
  }

  /** Sends a message. @returns status and data of its answer */
  async ask(type: number, ...data: number[]): Promise<[number, number]> {
    const { ring } = this.ring;
    ring.put(codec.encodeControlRequest({ id: 7, type, data }));
    ring.push();
    this.front.eventChannels.send(this.port);
    await settle();
    const answer = codec.decodeControlResponse(ring.take()!);
    return [answer.status, answer.data];
  }
}
