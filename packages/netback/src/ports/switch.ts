import type { Clock } from '@xenolith/guest-api';
import type { Frame } from '../frame/frame.js';
import { isMulticast } from '../frame/frame.js';
import type { FrameReceiver, NetworkPort } from './network-port.js';
import { seededRandom } from './random.js';

export interface SwitchOptions {
  clock: Clock;
  /** Addresses that are remembered for one port. Default 256. */
  maxAddresses?: number;
  /** For how long an address is remembered that sends nothing, in nanoseconds. Default 300 s. */
  ageNs?: number;
  /** Which frames are lost. Default 1. */
  seed?: number;
}

export interface SwitchPortOptions {
  /** Exchanges no frames with other isolated ports. Default false. */
  isolated?: boolean;
  /** Part of the frames to this port that is lost: 0 … 1. Default 0. */
  loss?: number;
  /** How much later frames to this port arrive, in nanoseconds of system time. Default 0: at once. */
  delayNs?: number;
}

/** Frames that may be under way to a port with a delay. */
const MAX_DELAYED = 1024;
const DEFAULTS = { maxAddresses: 256, ageNs: 300e9, seed: 1 };

/**
 * A learning switch: a frame goes to the port where its receiver was last seen, or to all. Each port's share of the table
 * is bounded, so that one guest cannot have the addresses of others forgotten.
 */
export class Switch {
  private readonly ports = new Set<SwitchPort>();
  private readonly table = new Map<number, SwitchPort>();
  private readonly settings: Required<SwitchOptions>;
  private readonly random: () => number;

  constructor(options: SwitchOptions) {
    this.settings = { ...DEFAULTS, ...options };
    this.random = seededRandom(this.settings.seed);
  }

  /** Ports that have not been closed. */
  get size(): number {
    return this.ports.size;
  }

  /** Addresses that it knows now. */
  get addresses(): number {
    return this.table.size;
  }

  addPort(options: SwitchPortOptions = {}): NetworkPort {
    const port = new SwitchPort(options, this.settings.clock, this.random, {
      send: (frame) => this.forward(port, frame),
      close: () => {
        this.ports.delete(port);
        for (const address of port.addresses.keys()) this.table.delete(address);
      },
    });
    this.ports.add(port);
    return port;
  }

  private forward(from: SwitchPort, frame: Frame): void {
    if (frame.data.length < 14 || !this.ports.has(from)) return;
    // A sender is one machine.
    if ((frame.data[6]! & 1) !== 0) return;
    this.learn(from, addressAt(frame.data, 6));
    const to = isMulticast(frame) ? undefined : this.find(addressAt(frame.data, 0));
    if (to) this.deliver(from, to, frame);
    else for (const port of this.ports) this.deliver(from, port, frame);
  }

  private deliver(from: SwitchPort, to: SwitchPort, frame: Frame): void {
    if (to !== from && !(from.isolated && to.isolated)) to.deliver(frame);
  }

  private learn(port: SwitchPort, address: number): void {
    const before = this.table.get(address);
    if (before !== port) before?.addresses.delete(address);
    // Behind the others again: the first is the one that has been silent for longest.
    port.addresses.delete(address);
    port.addresses.set(address, this.settings.clock.now());
    this.table.set(address, port);
    if (port.addresses.size > this.settings.maxAddresses)
      this.forget(port, port.addresses.keys().next().value!);
  }

  private find(address: number): SwitchPort | undefined {
    const port = this.table.get(address);
    if (!port) return undefined;
    if (this.settings.clock.now() - port.addresses.get(address)! <= this.settings.ageNs) return port;
    this.forget(port, address);
    return undefined;
  }

  private forget(port: SwitchPort, address: number): void {
    port.addresses.delete(address);
    this.table.delete(address);
  }
}

class SwitchPort implements NetworkPort {
  /** When each address behind this port was last heard, the one that has been silent for longest first. */
  readonly addresses = new Map<number, number>();
  readonly isolated: boolean;
  readonly send: (frame: Frame) => void;
  readonly close: () => void;
  private receiver: FrameReceiver | undefined;
  private underWay = 0;

  constructor(
    private readonly options: SwitchPortOptions,
    private readonly clock: Clock,
    private readonly random: () => number,
    inner: { send(frame: Frame): void; close(): void },
  ) {
    this.isolated = options.isolated ?? false;
    this.send = inner.send;
    this.close = inner.close;
  }

  connect(receiver: FrameReceiver | undefined): void {
    this.receiver = receiver;
  }

  deliver(frame: Frame): void {
    const { loss = 0, delayNs = 0 } = this.options;
    if (!this.receiver || (loss > 0 && this.random() < loss)) return;
    if (delayNs === 0) this.receiver(frame);
    else if (this.underWay < MAX_DELAYED) {
      this.underWay++;
      this.clock.after(delayNs, () => {
        this.underWay--;
        this.receiver?.(frame);
      });
    }
  }
}

/** Six bytes as a number. */
const addressAt = (data: Uint8Array, at: number): number =>
  data.subarray(at, at + 6).reduce((value, byte) => value * 256 + byte, 0);
